#pragma once
/// The tree of a git commit as a SourceTree, and its way out as an archive. Reads the object
/// database; nothing is checked out.

#include <cstdint>
#include <functional>
#include <string>

#include "builder/source_tree.hpp"
#include "common/git/repository.hpp"

namespace karreg::builder {

/// What an archive may cost.
struct ArchiveLimits {
  std::int64_t all_bytes = 0;        ///< of the archive
  std::int64_t file_bytes = 0;       ///< of one file, which is in memory while it is written
  std::int64_t entries = 1'000'000;  ///< files, folders and links
};

class GitTree : public SourceTree {
 public:
  /// @p repository must outlive it. @p most_entries: what has more files, folders and links is not
  /// walked through for submodules, but refused.
  GitTree(const git::Repository& repository, git::Commit commit,
          std::int64_t most_entries = ArchiveLimits().entries)
      : repository_(repository), commit_(std::move(commit)), most_entries_(most_entries) {}

  EntryKind kind(std::string_view path) const override;
  Result<std::string> read(std::string_view path, std::size_t max_bytes) const override;
  std::vector<Entry> list(std::string_view path) const override;
  Result<std::vector<Gitlink>> gitlinks(std::string_view path) const override;

  /// Id of the tree at @p folder ("" for the root): equal ids, equal files.
  Result<std::string> tree_id(const std::string& folder) const;

  /// Writes the files under @p folder as an uncompressed tar to @p sink: modes and links kept,
  /// every time is the commit's, owner 0, names in git's order. A submodule is an empty folder.
  /// Error `too_large` above @p limits (asked before a file is read) or where folders are nested
  /// beyond reason, or what the sink returned.
  Result<void> archive(const std::string& folder, const ArchiveLimits& limits,
                       const std::function<Result<void>(std::string_view)>& sink) const;

 private:
  /// Null when nothing stands there, or when a tree on the way is too large to be read.
  git::TreeEntryHandle entry_at(std::string_view path) const;
  Result<git::TreeHandle> subtree(std::string_view folder) const;

  const git::Repository& repository_;
  git::Commit commit_;
  std::int64_t most_entries_;
};

}  // namespace karreg::builder
