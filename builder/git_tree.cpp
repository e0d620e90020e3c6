#include "builder/git_tree.hpp"

#include "builder/tar.hpp"

namespace karreg::builder {
namespace {

EntryKind kind_of(const git_tree_entry* entry) {
  switch (git_tree_entry_filemode(entry)) {
    case GIT_FILEMODE_TREE:
      return EntryKind::folder;
    case GIT_FILEMODE_BLOB:
    case GIT_FILEMODE_BLOB_EXECUTABLE:
      return EntryKind::file;
    case GIT_FILEMODE_LINK:
      return EntryKind::link;
    case GIT_FILEMODE_COMMIT:
      return EntryKind::submodule;
    case GIT_FILEMODE_UNREADABLE:
      break;
  }
  return EntryKind::none;
}

std::string_view content(const git::BlobHandle& blob) {
  return {static_cast<const char*>(git_blob_rawcontent(blob.get())),
          static_cast<std::size_t>(git_blob_rawsize(blob.get()))};
}

/// Deeper folders are nobody's source: a tree takes a few bytes a level and the stack a frame.
constexpr int max_depth = 256;
/// What the trees from the root down to the one that is being written may have together.
constexpr std::int64_t max_open_tree_bytes = 4 * git::max_tree_bytes;
/// Linux's PATH_MAX: the guest could not unpack a longer name, nor a link to one.
constexpr std::size_t max_name_bytes = 4095;

Error too_many_bytes(std::int64_t max_bytes) {
  return {ErrorKind::too_large, "The files of this commit are larger than " +
                                    std::to_string(max_bytes >> 20) +
                                    " MiB together. Keep large data out of the repository."};
}

/// Walks a tree depth first and tells of every entry, within bounds: what a tree costs in memory is
/// asked before it is read.
class Walker {
 public:
  using Visit = std::function<Result<void>(const git_tree_entry*, const std::string& name)>;

  /// @p visit comes to a folder before what is in it.
  Walker(const git::Repository& repository, std::int64_t max_entries, Visit visit)
      : repository_(repository), max_entries_(max_entries), visit_(std::move(visit)) {}

  Result<void> folder(git_tree* tree, const std::string& path) {
    auto bytes = repository_.size_of(*git_tree_id(tree));
    if (!bytes) return bytes.error();
    if (++depth_ > max_depth)
      return Error(ErrorKind::too_large, "The folders of this commit are nested more than " +
                                             std::to_string(max_depth) + " deep, at " +
                                             path.substr(0, 60) +
                                             "... Leave such a tree out of the repository.");
    open_bytes_ += *bytes;
    if (open_bytes_ > max_open_tree_bytes)
      return Error(ErrorKind::too_large, "The folders of this commit down to " +
                                             path.substr(0, 60) +
                                             " list more files than can be read. Leave such a "
                                             "tree out of the repository.");
    for (std::size_t i = 0; i < git_tree_entrycount(tree); ++i) {
      const git_tree_entry* entry = git_tree_entry_byindex(tree, i);
      if (auto done = member(entry, join_path(path, git_tree_entry_name(entry))); !done)
        return done.error();
    }
    open_bytes_ -= *bytes;
    --depth_;
    return ok();
  }

 private:
  Result<void> member(const git_tree_entry* entry, const std::string& name) {
    if (++entries_ > max_entries_)
      return Error(ErrorKind::too_large,
                   "This commit has more than " + std::to_string(max_entries_) +
                       " files, folders and links. Leave what a build can make or fetch out of the "
                       "repository.");
    if (name.size() > max_name_bytes)
      return Error(ErrorKind::too_large, "The name of a file of this commit is longer than " +
                                             std::to_string(max_name_bytes) + " bytes: " +
                                             name.substr(0, 60) + "... Give it a shorter one.");
    if (auto visited = visit_(entry, name); !visited) return visited.error();
    if (kind_of(entry) != EntryKind::folder) return ok();
    auto below = repository_.tree(*git_tree_entry_id(entry));
    if (!below) return below.error().within("the folder " + name);
    return folder(below->get(), name);
  }

  const git::Repository& repository_;
  std::int64_t max_entries_;
  Visit visit_;
  int depth_ = 0;
  std::int64_t open_bytes_ = 0;
  std::int64_t entries_ = 0;
};

/// Writes the entries of a tree as members of an archive.
class Archiver {
 public:
  Archiver(const git::Repository& repository, TarWriter& tar, const ArchiveLimits& limits)
      : repository_(repository), tar_(tar), limits_(limits) {}

  Result<void> add(const git_tree_entry* entry, const std::string& name) {
    if (auto done = member(entry, name); !done) return done.error();
    if (tar_.written() > limits_.all_bytes) return too_many_bytes(limits_.all_bytes);
    return ok();
  }

 private:
  Result<void> member(const git_tree_entry* entry, const std::string& name) {
    const git_oid& oid = *git_tree_entry_id(entry);
    switch (kind_of(entry)) {
      case EntryKind::folder:
      case EntryKind::submodule:  // the build VM fills it
        return tar_.folder(name);
      case EntryKind::file:
        return file(entry, name);
      case EntryKind::link: {
        auto target = repository_.blob(oid, max_name_bytes);
        if (!target) return target.error().within("the link " + name);
        return tar_.link(name, std::string(content(*target)));
      }
      case EntryKind::none:
        break;
    }
    return Error(ErrorKind::invalid, name + " has a mode that git does not know. Run `git fsck`.");
  }

  Result<void> file(const git_tree_entry* entry, const std::string& name) {
    const git_oid& oid = *git_tree_entry_id(entry);
    auto bytes = repository_.size_of(oid);
    if (!bytes) return bytes.error().within(name);
    if (*bytes > limits_.file_bytes)
      return Error(ErrorKind::too_large, name + " has " + std::to_string(*bytes >> 20) +
                                             " MiB, and a file of a commit may have " +
                                             std::to_string(limits_.file_bytes >> 20) +
                                             " MiB. Keep large data out of the repository.");
    if (*bytes > limits_.all_bytes - tar_.written()) return too_many_bytes(limits_.all_bytes);
    auto read = repository_.blob(oid, *bytes);
    if (!read) return read.error().within(name);
    return tar_.file(name, git_tree_entry_filemode(entry) == GIT_FILEMODE_BLOB_EXECUTABLE,
                     content(*read));
  }

  const git::Repository& repository_;
  TarWriter& tar_;
  ArchiveLimits limits_;
};

}  // namespace

git::TreeEntryHandle GitTree::entry_at(std::string_view path) const {
  git::TreeHandle held;
  const git_tree* tree = commit_.tree.get();
  for (;;) {
    const auto slash = path.find('/');
    const std::string name(path.substr(0, slash));
    const git_tree_entry* entry = git_tree_entry_byname(tree, name.c_str());
    if (entry == nullptr) return nullptr;
    if (slash == std::string_view::npos) {
      git::TreeEntryHandle own;
      if (git_tree_entry_dup(Out(own), entry) != 0) return nullptr;
      return own;
    }
    if (kind_of(entry) != EntryKind::folder) return nullptr;
    auto below = repository_.tree(*git_tree_entry_id(entry));
    if (!below) return nullptr;
    held = std::move(*below);
    tree = held.get();
    path.remove_prefix(slash + 1);
  }
}

Result<git::TreeHandle> GitTree::subtree(std::string_view folder) const {
  if (folder.empty()) {
    git::TreeHandle tree;
    if (const int code = git_tree_dup(Out(tree), commit_.tree.get()); code != 0)
      return git::last_error("reading the tree", code);
    return tree;
  }
  const auto entry = entry_at(folder);
  if (!entry || kind_of(entry.get()) != EntryKind::folder)
    return Error(ErrorKind::not_found, std::string(folder) + " is not a folder of the commit");
  auto tree = repository_.tree(*git_tree_entry_id(entry.get()));
  if (!tree) return tree.error().within("the folder " + std::string(folder));
  return tree;
}

EntryKind GitTree::kind(std::string_view path) const {
  if (path.empty()) return EntryKind::folder;
  const auto entry = entry_at(path);
  return entry ? kind_of(entry.get()) : EntryKind::none;
}

Result<std::string> GitTree::read(std::string_view path, std::size_t max_bytes) const {
  const auto entry = entry_at(path);
  if (!entry || kind_of(entry.get()) != EntryKind::file)
    return Error(ErrorKind::not_found, std::string(path) + " is not a file");
  const git_oid& oid = *git_tree_entry_id(entry.get());
  auto bytes = repository_.size_of(oid);
  if (!bytes) return bytes.error().within(path);
  if (*bytes > static_cast<std::int64_t>(max_bytes))
    return Error(ErrorKind::too_large, std::string(path) + " is larger than " +
                                           std::to_string(max_bytes / 1024) + " KiB");
  auto read = repository_.blob(oid, *bytes);
  if (!read) return read.error().within(path);
  return std::string(content(*read));
}

std::vector<Entry> GitTree::list(std::string_view path) const {
  std::vector<Entry> entries;
  const auto tree = subtree(path);
  if (!tree) return entries;
  for (std::size_t i = 0; i < git_tree_entrycount(tree->get()); ++i) {
    const git_tree_entry* entry = git_tree_entry_byindex(tree->get(), i);
    entries.push_back({git_tree_entry_name(entry), kind_of(entry)});
  }
  return entries;
}

Result<std::vector<Gitlink>> GitTree::gitlinks(std::string_view path) const {
  std::vector<Gitlink> found;
  const auto tree = subtree(path);
  if (!tree) return tree.error();
  const auto keep = [&](const git_tree_entry* entry, const std::string& name) {
    if (kind_of(entry) == EntryKind::submodule)
      found.push_back({name, git::to_text(*git_tree_entry_id(entry))});
    return ok();
  };
  auto walked = Walker(repository_, most_entries_, keep).folder(tree->get(), "");
  if (!walked) return walked.error();
  return found;
}

Result<std::string> GitTree::tree_id(const std::string& folder) const {
  const auto tree = subtree(folder);
  if (!tree) return tree.error();
  return git::to_text(*git_tree_id(tree->get()));
}

Result<void> GitTree::archive(const std::string& folder, const ArchiveLimits& limits,
                              const std::function<Result<void>(std::string_view)>& sink) const {
  const auto tree = subtree(folder);
  if (!tree) return tree.error();
  TarWriter tar(sink, commit_.time);
  Archiver archiver(repository_, tar, limits);
  Walker walker(repository_, limits.entries,
                [&](const git_tree_entry* entry, const std::string& name) {
                  return archiver.add(entry, name);
                });
  if (auto done = walker.folder(tree->get(), ""); !done) return done.error();
  return tar.finish();
}

}  // namespace karreg::builder
