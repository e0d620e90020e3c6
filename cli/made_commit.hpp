#pragma once
/// Commits that stand in no repository of the user: the files of an archive (`karreg deploy
/// --archive`), an image of a registry (`karreg deploy --image`).

#include <filesystem>
#include <string>

#include "cli/profile.hpp"
#include "common/error.hpp"

namespace karreg::cli {

/// A repository of its own with one commit, whose parent is what the app's branch has, so that the
/// push needs no force. It goes with this object.
class MadeCommit {
 public:
  /// Where it is pushed to; the login of @c profile opens that.
  struct Destination {
    std::string url;
    std::string branch;
    const Profile& profile;
  };

  /// Unpacks @p file, a tar archive in whatever compression tar(1) knows here or a zip file, and
  /// commits its files: all of them, byte for byte, ignored ones too, without folders named .git. A
  /// single folder with nothing beside it is left out, as archives of releases have one. Error
  /// `not_found`, `invalid` or `unavailable` says what is wrong with the file, the repository or
  /// the programs.
  static Result<MadeCommit> of_archive(const std::filesystem::path& file, const Destination& to,
                                       const Environment& environment);
  /// Commits a Dockerfile that says FROM @p image, a reference as registries have them:
  /// "registry.example.org/shop:1.2", "nginx@sha256:...". Error `invalid`: it is none.
  static Result<MadeCommit> of_image(const std::string& image, const Destination& to,
                                     const Environment& environment);
  ~MadeCommit();
  MadeCommit(MadeCommit&& other) noexcept;
  MadeCommit(const MadeCommit&) = delete;
  MadeCommit& operator=(const MadeCommit&) = delete;
  MadeCommit& operator=(MadeCommit&&) = delete;

  /// The repository.
  std::string folder() const { return (scratch_ / "git").string(); }
  /// Full id; of the parent when that has the same files already.
  const std::string& id() const { return id_; }

 private:
  explicit MadeCommit(std::filesystem::path scratch) : scratch_(std::move(scratch)) {}

  std::filesystem::path scratch_;
  std::string id_;
};

}  // namespace karreg::cli
