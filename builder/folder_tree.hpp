#pragma once
/// A folder of this machine as a SourceTree, for `karreg-builder explain`.

#include <filesystem>

#include "builder/source_tree.hpp"

namespace karreg::builder {

class FolderTree : public SourceTree {
 public:
  explicit FolderTree(std::filesystem::path root) : root_(std::move(root)) {}

  EntryKind kind(std::string_view path) const override;
  Result<std::string> read(std::string_view path, std::size_t max_bytes) const override;
  /// Without `.git`.
  std::vector<Entry> list(std::string_view path) const override;

 private:
  std::filesystem::path root_;
};

}  // namespace karreg::builder
