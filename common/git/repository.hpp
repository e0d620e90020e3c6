#pragma once
/// libgit2 in domain words: a bare repository on disk, its commits and trees. A Repository stays on
/// one thread.

#include <git2.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/error.hpp"
#include "common/handle.hpp"

namespace karreg::git {

using RepositoryHandle = Handle<git_repository, git_repository_free>;
using CommitHandle = Handle<git_commit, git_commit_free>;
using TreeHandle = Handle<git_tree, git_tree_free>;
using TreeEntryHandle = Handle<git_tree_entry, git_tree_entry_free>;
using BlobHandle = Handle<git_blob, git_blob_free>;
using ReferenceIteratorHandle = Handle<git_reference_iterator, git_reference_iterator_free>;
using OdbHandle = Handle<git_odb, git_odb_free>;

/// libgit2's last error of this thread as ours; call it at once after the failing call. @p doing:
/// "opening the repository /x".
Error last_error(std::string_view doing, int code);

/// 40 hexadecimal digits.
std::string to_text(const git_oid& oid);

/// A tree or a commit above this is refused: the largest repositories that people write stay far
/// below.
constexpr std::int64_t max_tree_bytes = std::int64_t{16} << 20;

/// A commit and its tree.
struct Commit {
  std::string id;         ///< 40 hexadecimal digits
  std::int64_t time = 0;  ///< of the committer, seconds since the epoch
  TreeHandle tree;
};

class Repository {
 public:
  /// Opens the repository in exactly @p folder (parents are not searched). Error `not_found` when
  /// there is none.
  static Result<Repository> open(const std::filesystem::path& folder);

  /// The commit with the full id @p id. Error `invalid` for what is no id, `not_found` when the
  /// repository does not have it.
  Result<Commit> commit(const std::string& id) const;
  /// The commit that @p reference (HEAD, refs/heads/master) points to.
  Result<Commit> commit_at(const std::string& reference) const;

  /// Full names of the references that match @p pattern (a glob: "refs/heads/*").
  Result<std::vector<std::string>> references(const std::string& pattern) const;

  // libgit2 inflates an object as a whole, and a pusher may have packed gigabytes into a few bytes:
  // the size is read first.

  /// Size of the object @p oid, from its header alone.
  Result<std::int64_t> size_of(const git_oid& oid) const;
  /// Error `too_large` above @p max_bytes.
  Result<BlobHandle> blob(const git_oid& oid, std::int64_t max_bytes) const;
  /// Error `too_large` above max_tree_bytes.
  Result<TreeHandle> tree(const git_oid& oid) const;

  git_repository* raw() const { return handle_.get(); }

 private:
  explicit Repository(RepositoryHandle handle) : handle_(std::move(handle)) {}
  Result<Commit> load(const git_oid& oid) const;
  Result<void> at_most(const git_oid& oid, std::int64_t max_bytes) const;

  RepositoryHandle handle_;
};

}  // namespace karreg::git
