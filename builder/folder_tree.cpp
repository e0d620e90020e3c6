#include "builder/folder_tree.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace karreg::builder {
namespace fs = std::filesystem;

namespace {

/// Whether @p path stays below @p root: it has no "..", is not absolute and goes through no link.
bool stays_below(const fs::path& root, const fs::path& path) {
  if (path.is_absolute()) return false;
  fs::path place = root;
  for (const fs::path& part : path.parent_path()) {
    std::error_code failed;
    place /= part;
    if (part == ".." || fs::is_symlink(fs::symlink_status(place, failed))) return false;
  }
  return path.filename() != "..";
}

}  // namespace

EntryKind FolderTree::kind(std::string_view path) const {
  if (!stays_below(root_, path)) return EntryKind::none;
  std::error_code failed;
  const fs::file_status status = fs::symlink_status(root_ / path, failed);
  if (failed) return EntryKind::none;
  if (fs::is_symlink(status)) return EntryKind::link;
  if (fs::is_directory(status)) return EntryKind::folder;
  return fs::is_regular_file(status) ? EntryKind::file : EntryKind::none;
}

Result<std::string> FolderTree::read(std::string_view path, std::size_t max_bytes) const {
  const auto unreadable = [&] {
    return Error(ErrorKind::not_found, std::string(path) + " is not a file that can be read");
  };
  if (kind(path) != EntryKind::file) return unreadable();
  std::error_code failed;
  const auto bytes = fs::file_size(root_ / path, failed);
  std::ifstream in(root_ / path, std::ios::binary);
  if (failed || !in) return unreadable();
  if (bytes > max_bytes)
    return Error(ErrorKind::too_large, std::string(path) + " is larger than " +
                                           std::to_string(max_bytes / 1024) + " KiB");
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::vector<Entry> FolderTree::list(std::string_view path) const {
  std::vector<Entry> entries;
  if (!path.empty() && kind(path) != EntryKind::folder) return entries;
  std::error_code failed;
  for (fs::directory_iterator it(root_ / path, failed), end; !failed && it != end;
       it.increment(failed)) {
    const std::string name = it->path().filename().string();
    if (name != ".git") entries.push_back({name, kind(join_path(path, name))});
  }
  std::ranges::sort(entries, {}, &Entry::name);
  return entries;
}

}  // namespace karreg::builder
