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

git::TreeEntryHandle entry_at(git_tree* root, std::string_view path) {
  git::TreeEntryHandle entry;
  const std::string name(path);
  if (git_tree_entry_bypath(Out(entry), root, name.c_str()) != 0) return nullptr;
  return entry;
}

Result<git::BlobHandle> blob(git_repository* repository, const git_oid& oid) {
  git::BlobHandle found;
  if (const int code = git_blob_lookup(Out(found), repository, &oid); code != 0)
    return git::last_error("reading the blob " + git::to_text(oid), code);
  return found;
}

std::string_view content(const git::BlobHandle& blob) {
  return {static_cast<const char*>(git_blob_rawcontent(blob.get())),
          static_cast<std::size_t>(git_blob_rawsize(blob.get()))};
}

/// Walks a tree depth first and writes every member.
class Archiver {
 public:
  Archiver(git_repository* repository, TarWriter& tar, std::int64_t max_bytes)
      : repository_(repository), tar_(tar), max_bytes_(max_bytes) {}

  Result<void> folder(git_tree* tree, const std::string& path) {
    for (std::size_t i = 0; i < git_tree_entrycount(tree); ++i) {
      const git_tree_entry* entry = git_tree_entry_byindex(tree, i);
      const std::string name = join_path(path, git_tree_entry_name(entry));
      if (auto done = member(entry, name); !done) return done.error();
      if (tar_.written() > max_bytes_)
        return Error(ErrorKind::too_large,
                     "The files of this commit are larger than " +
                         std::to_string(max_bytes_ >> 20) +
                         " MiB together. Keep large data out of the repository.");
    }
    return ok();
  }

 private:
  Result<void> member(const git_tree_entry* entry, const std::string& name) {
    const git_oid& oid = *git_tree_entry_id(entry);
    switch (kind_of(entry)) {
      case EntryKind::folder: {
        git::TreeHandle below;
        if (const int code = git_tree_lookup(Out(below), repository_, &oid); code != 0)
          return git::last_error("reading the folder " + name, code);
        if (auto done = tar_.folder(name); !done) return done.error();
        return folder(below.get(), name);
      }
      case EntryKind::file: {
        auto bytes = blob(repository_, oid);
        if (!bytes) return bytes.error();
        return tar_.file(name, git_tree_entry_filemode(entry) == GIT_FILEMODE_BLOB_EXECUTABLE,
                         content(*bytes));
      }
      case EntryKind::link: {
        auto target = blob(repository_, oid);
        if (!target) return target.error();
        return tar_.link(name, std::string(content(*target)));
      }
      case EntryKind::submodule:
        return Error(ErrorKind::invalid,
                     name +
                         " is a git submodule, and submodules are not fetched. Commit its files "
                         "into this repository (git subtree add --prefix=" +
                         name + " ...), or install it in CC_PRE_BUILD_HOOK.");
      case EntryKind::none:
        break;
    }
    return Error(ErrorKind::invalid, name + " has a mode that git does not know. Run `git fsck`.");
  }

  git_repository* repository_;
  TarWriter& tar_;
  std::int64_t max_bytes_;
};

}  // namespace

Result<git::TreeHandle> GitTree::subtree(std::string_view folder) const {
  git::TreeHandle tree;
  if (folder.empty()) {
    if (const int code = git_tree_dup(Out(tree), commit_.tree.get()); code != 0)
      return git::last_error("reading the tree", code);
    return tree;
  }
  const auto entry = entry_at(commit_.tree.get(), folder);
  if (!entry || kind_of(entry.get()) != EntryKind::folder)
    return Error(ErrorKind::not_found, std::string(folder) + " is not a folder of the commit");
  if (const int code =
          git_tree_lookup(Out(tree), repository_.raw(), git_tree_entry_id(entry.get()));
      code != 0)
    return git::last_error("reading the folder " + std::string(folder), code);
  return tree;
}

EntryKind GitTree::kind(std::string_view path) const {
  if (path.empty()) return EntryKind::folder;
  const auto entry = entry_at(commit_.tree.get(), path);
  return entry ? kind_of(entry.get()) : EntryKind::none;
}

Result<std::string> GitTree::read(std::string_view path, std::size_t max_bytes) const {
  const auto entry = entry_at(commit_.tree.get(), path);
  if (!entry || kind_of(entry.get()) != EntryKind::file)
    return Error(ErrorKind::not_found, std::string(path) + " is not a file");
  auto bytes = blob(repository_.raw(), *git_tree_entry_id(entry.get()));
  if (!bytes) return bytes.error();
  if (content(*bytes).size() > max_bytes)
    return Error(ErrorKind::too_large, std::string(path) + " is larger than " +
                                           std::to_string(max_bytes / 1024) + " KiB");
  return std::string(content(*bytes));
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

Result<std::string> GitTree::tree_id(const std::string& folder) const {
  const auto tree = subtree(folder);
  if (!tree) return tree.error();
  return git::to_text(*git_tree_id(tree->get()));
}

Result<void> GitTree::archive(const std::string& folder, std::int64_t max_bytes,
                              const std::function<Result<void>(std::string_view)>& sink) const {
  const auto tree = subtree(folder);
  if (!tree) return tree.error();
  TarWriter tar(sink, commit_.time);
  if (auto done = Archiver(repository_.raw(), tar, max_bytes).folder(tree->get(), ""); !done)
    return done.error();
  return tar.finish();
}

}  // namespace karreg::builder
