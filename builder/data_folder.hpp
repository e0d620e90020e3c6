#pragma once
/// Where the builder's files are in the data folder: docs/contracts.md §6.

#include <filesystem>
#include <string>

#include "common/ids.hpp"

namespace karreg::builder {

class DataFolder {
 public:
  explicit DataFolder(std::filesystem::path root) : root_(std::move(root)) {}

  std::filesystem::path repository(const std::string& app_id) const {
    return root_ / "repos" / (app_id + ".git");
  }
  std::filesystem::path builds() const { return root_ / "builds"; }
  std::filesystem::path build(const std::string& build_id) const { return builds() / build_id; }
  /// Where a builder makes the folder of a build before it gets its name: of its own, so that a
  /// builder which lost the build without knowing cannot touch what its VM uses.
  std::filesystem::path fresh_build(const std::string& build_id) const {
    return builds() / (build_id + "." + ids::uuid());
  }
  /// The build that the folder @p name, of either kind, belongs to.
  static std::string build_of(const std::string& name) { return name.substr(0, name.find('.')); }
  static std::filesystem::path source_in(const std::filesystem::path& build) {
    return build / "source.tar";
  }
  static std::filesystem::path output_in(const std::filesystem::path& build) {
    return build / "output.img";
  }
  std::filesystem::path caches() const { return root_ / "cache"; }
  std::filesystem::path cache(const std::string& app_id) const {
    return caches() / (app_id + ".img");
  }
  std::filesystem::path artifacts() const { return root_ / "artifacts"; }
  std::filesystem::path artifact(const std::string& digest) const { return artifacts() / digest; }

 private:
  std::filesystem::path root_;
};

}  // namespace karreg::builder
