#include "builder/folder_tree.hpp"

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>

#include "builder/shell_line.hpp"

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

/// What `git ls-files` says of the index, or of why it cannot.
struct Said {
  std::string text;
  bool good = false;
};

Said ask_git(const fs::path& root, const std::string& redirections) {
  // Variables of a hook that calls us name another repository.
  const std::string line = "unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_PREFIX; git -C " +
                           shell_quote(root.string()) + " ls-files --stage -z </dev/null " +
                           redirections;
  std::FILE* pipe = ::popen(line.c_str(), "re");
  if (pipe == nullptr) return {"a process could not be started", false};
  Said said;
  std::array<char, 65536> buffer{};
  for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    said.text.append(buffer.data(), n);
  const int status = ::pclose(pipe);
  said.good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  return said;
}

/// Lines "160000 COMMIT STAGE<tab>PATH", each with a zero byte at its end.
std::map<std::string, std::string> submodules_of_index(std::string_view text) {
  std::map<std::string, std::string> found;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\0'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    constexpr std::string_view mode = "160000 ";
    const auto tab = line.find('\t');
    if (!line.starts_with(mode) || tab == std::string_view::npos) continue;
    const auto blank = line.find(' ', mode.size());
    found.emplace(line.substr(tab + 1), line.substr(mode.size(), blank - mode.size()));
  }
  return found;
}

Result<MemoryTree> read_index(const fs::path& root) {
  const Said said = ask_git(root, "2>/dev/null");
  if (said.good) return MemoryTree({}, submodules_of_index(said.text));
  std::error_code failed;
  if (!fs::exists(fs::symlink_status(root / ".git", failed))) return MemoryTree({});
  return Error(ErrorKind::unavailable, "The submodules of " + root.string() +
                                           " are not known, for git says: " +
                                           trimmed(ask_git(root, "2>&1 >/dev/null").text));
}

}  // namespace

FolderTree::FolderTree(std::filesystem::path root)
    : root_(std::move(root)), index_(read_index(root_)) {}

EntryKind FolderTree::kind(std::string_view path) const {
  if (!stays_below(root_, path)) return EntryKind::none;
  if (index_) {
    if (index_->kind(path) == EntryKind::submodule) return EntryKind::submodule;
    // Its files may lie here already; they do not lie in the commit.
    for (auto end = path.find('/'); end != std::string_view::npos; end = path.find('/', end + 1))
      if (index_->kind(path.substr(0, end)) == EntryKind::submodule) return EntryKind::none;
  }
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

Result<std::vector<Gitlink>> FolderTree::gitlinks(std::string_view path) const {
  if (!index_) return index_.error();
  return index_->gitlinks(path);
}

}  // namespace karreg::builder
