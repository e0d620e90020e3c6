#pragma once
/// A folder of this machine as a SourceTree, for `karreg build --explain` and `karreg-builder
/// explain`. In a work tree of git, its submodules are those of the index, so that it looks as the
/// commit will that is pushed.

#include <filesystem>

#include "builder/source_tree.hpp"

namespace karreg::builder {

class FolderTree : public SourceTree {
 public:
  /// Asks git (the program) for the submodules; where there is no work tree there are none.
  explicit FolderTree(std::filesystem::path root);

  EntryKind kind(std::string_view path) const override;
  Result<std::string> read(std::string_view path, std::size_t max_bytes) const override;
  /// Without `.git`.
  std::vector<Entry> list(std::string_view path) const override;
  /// Error `unavailable`: git cannot read the work tree, with what it says.
  Result<std::vector<Gitlink>> gitlinks(std::string_view path) const override;

 private:
  std::filesystem::path root_;
  Result<MemoryTree> index_;  ///< the submodules alone
};

}  // namespace karreg::builder
