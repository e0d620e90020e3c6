#pragma once
/// The files of an archive (a tarball, a zip file) as a commit of git, for `karreg deploy
/// --archive`.

#include <filesystem>
#include <string>

#include "cli/profile.hpp"
#include "common/error.hpp"

namespace karreg::cli {

/// A repository of its own that holds what an archive has; it goes with this object.
class ArchiveCommit {
 public:
  /// Unpacks @p file, a tar archive in whatever compression tar(1) knows here or a zip file, and
  /// commits its files: all of them, byte for byte, ignored ones too, without folders named .git. A
  /// single folder with nothing beside it is left out, as archives of releases have one. The parent
  /// is what
  /// @p branch of the repository at @p url has, so that the push needs no force; the login of @p
  /// profile opens that. Error `not_found`, `invalid` or `unavailable` says what is wrong with the
  /// file, the repository or the programs.
  static Result<ArchiveCommit> make(const std::filesystem::path& file, const std::string& url,
                                    const std::string& branch, const Profile& profile,
                                    const Environment& environment);
  ~ArchiveCommit();
  ArchiveCommit(ArchiveCommit&& other) noexcept;
  ArchiveCommit(const ArchiveCommit&) = delete;
  ArchiveCommit& operator=(const ArchiveCommit&) = delete;
  ArchiveCommit& operator=(ArchiveCommit&&) = delete;

  /// The repository.
  std::string folder() const { return (scratch_ / "git").string(); }
  /// Full id; of the parent when that has the same files already.
  const std::string& id() const { return id_; }

 private:
  explicit ArchiveCommit(std::filesystem::path scratch) : scratch_(std::move(scratch)) {}

  std::filesystem::path scratch_;
  std::string id_;
};

}  // namespace karreg::cli
