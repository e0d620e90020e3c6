#pragma once
/// Where the builder's files are in the data folder: docs/contracts.md §6.

#include <filesystem>
#include <string>

namespace karreg::builder {

class DataFolder {
 public:
  explicit DataFolder(std::filesystem::path root) : root_(std::move(root)) {}

  std::filesystem::path repository(const std::string& app_id) const {
    return root_ / "repos" / (app_id + ".git");
  }
  std::filesystem::path builds() const { return root_ / "builds"; }
  std::filesystem::path build(const std::string& build_id) const { return builds() / build_id; }
  std::filesystem::path source(const std::string& build_id) const {
    return build(build_id) / "source.tar";
  }
  std::filesystem::path output(const std::string& build_id) const {
    return build(build_id) / "output.img";
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
