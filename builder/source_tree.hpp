#pragma once
/// The files of one version of an app, as the inspector sees them: names, kinds and the bytes of
/// small files. Paths are relative, with '/', no leading or trailing one; "" is the root.

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/error.hpp"

namespace karreg::builder {

/// What stands at a path. Links are never followed.
enum class EntryKind { none, file, folder, link, submodule };

struct Entry {
  std::string name;
  EntryKind kind = EntryKind::none;
};

/// A submodule: the tree has its commit, and none of its files.
struct Gitlink {
  std::string path;
  std::string commit;  ///< full id, hexadecimal
  bool operator==(const Gitlink&) const = default;
};

/// Read access to a tree. Implementations answer from memory, from a folder or from a git commit.
class SourceTree {
 public:
  virtual ~SourceTree() = default;

  /// The kind of what stands at @p path.
  virtual EntryKind kind(std::string_view path) const = 0;
  /// The bytes of the file at @p path. Error `too_large` above @p max_bytes, `not_found` when it is
  /// not a file.
  virtual Result<std::string> read(std::string_view path, std::size_t max_bytes) const = 0;
  /// What the folder at @p path holds, sorted by name; empty when it is not a folder.
  virtual std::vector<Entry> list(std::string_view path) const = 0;
  /// Every submodule below the folder @p path, however deep, by paths from there. Error `too_large`
  /// where more stands there than can be looked through, or why it cannot be read.
  virtual Result<std::vector<Gitlink>> gitlinks(std::string_view path) const = 0;

  bool has_file(std::string_view path) const { return kind(path) == EntryKind::file; }
  bool has_folder(std::string_view path) const { return kind(path) == EntryKind::folder; }
};

/// A tree in memory.
class MemoryTree : public SourceTree {
 public:
  /// @p files: path -> bytes; folders come from the paths. @p gitlinks: path -> commit.
  explicit MemoryTree(std::map<std::string, std::string> files,
                      std::map<std::string, std::string> gitlinks = {})
      : files_(std::move(files)), gitlinks_(std::move(gitlinks)) {}

  EntryKind kind(std::string_view path) const override;
  Result<std::string> read(std::string_view path, std::size_t max_bytes) const override;
  std::vector<Entry> list(std::string_view path) const override;
  Result<std::vector<Gitlink>> gitlinks(std::string_view path) const override;

 private:
  std::map<std::string, std::string> files_;
  std::map<std::string, std::string> gitlinks_;
};

/// The part of another tree under a folder. @p whole must outlive it.
class Subtree : public SourceTree {
 public:
  Subtree(const SourceTree& whole, std::string folder)
      : whole_(whole), folder_(std::move(folder)) {}

  EntryKind kind(std::string_view path) const override { return whole_.kind(inside(path)); }
  Result<std::string> read(std::string_view path, std::size_t max_bytes) const override {
    return whole_.read(inside(path), max_bytes);
  }
  std::vector<Entry> list(std::string_view path) const override {
    return whole_.list(inside(path));
  }
  Result<std::vector<Gitlink>> gitlinks(std::string_view path) const override {
    return whole_.gitlinks(inside(path));
  }

 private:
  std::string inside(std::string_view path) const;

  const SourceTree& whole_;
  std::string folder_;
};

/// @p parent/@p name, or @p name alone in the root.
std::string join_path(std::string_view parent, std::string_view name);

/// @p path as people write it ("./apps//shop/") in the form above; nothing when it leaves the tree.
std::optional<std::string> path_inside(std::string_view path);

/// "package.json, README.md, src/": the first names of @p tree, so that people see what we saw.
std::string what_is_there(const SourceTree& tree);

}  // namespace karreg::builder
