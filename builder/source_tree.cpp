#include "builder/source_tree.hpp"

#include <set>

namespace karreg::builder {

std::string join_path(std::string_view parent, std::string_view name) {
  if (parent.empty()) return std::string(name);
  if (name.empty()) return std::string(parent);
  return std::string(parent) + "/" + std::string(name);
}

std::optional<std::string> path_inside(std::string_view path) {
  std::string clean;
  while (!path.empty()) {
    const auto slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (part == "..") return std::nullopt;
    if (part != ".") clean = join_path(clean, part);
  }
  return clean;
}

std::string what_is_there(const SourceTree& tree) {
  constexpr std::size_t most = 12;
  const std::vector<Entry> entries = tree.list("");
  if (entries.empty()) return "nothing";
  std::string text;
  for (std::size_t i = 0; i < entries.size() && i < most; ++i) {
    if (i > 0) text += ", ";
    text += entries[i].name;
    if (entries[i].kind == EntryKind::folder) text += '/';
    if (entries[i].kind == EntryKind::submodule)
      text += " (a submodule: only the build sees its files)";
  }
  if (entries.size() > most) text += " and " + std::to_string(entries.size() - most) + " more";
  return text;
}

EntryKind MemoryTree::kind(std::string_view path) const {
  if (path.empty()) return EntryKind::folder;
  if (files_.contains(std::string(path))) return EntryKind::file;
  if (gitlinks_.contains(std::string(path))) return EntryKind::submodule;
  const std::string prefix = std::string(path) + "/";
  const auto has_below = [&](const auto& paths) {
    const auto next = paths.lower_bound(prefix);
    return next != paths.end() && next->first.starts_with(prefix);
  };
  return has_below(files_) || has_below(gitlinks_) ? EntryKind::folder : EntryKind::none;
}

Result<std::string> MemoryTree::read(std::string_view path, std::size_t max_bytes) const {
  const auto found = files_.find(std::string(path));
  if (found == files_.end())
    return Error(ErrorKind::not_found, std::string(path) + " is not a file");
  if (found->second.size() > max_bytes)
    return Error(ErrorKind::too_large, std::string(path) + " is larger than " +
                                           std::to_string(max_bytes / 1024) + " KiB");
  return found->second;
}

std::vector<Entry> MemoryTree::list(std::string_view path) const {
  const std::string prefix = path.empty() ? "" : std::string(path) + "/";
  std::set<std::string> names;
  for (const auto* paths : {&files_, &gitlinks_})
    for (auto it = paths->lower_bound(prefix); it != paths->end() && it->first.starts_with(prefix);
         ++it) {
      const std::string rest = it->first.substr(prefix.size());
      names.insert(rest.substr(0, rest.find('/')));
    }
  std::vector<Entry> entries;
  for (const std::string& name : names) entries.push_back({name, kind(join_path(path, name))});
  return entries;
}

Result<std::vector<Gitlink>> MemoryTree::gitlinks(std::string_view path) const {
  const std::string prefix = path.empty() ? "" : std::string(path) + "/";
  std::vector<Gitlink> found;
  for (const auto& [name, commit] : gitlinks_)
    if (name.starts_with(prefix)) found.push_back({name.substr(prefix.size()), commit});
  return found;
}

std::string Subtree::inside(std::string_view path) const {
  return join_path(folder_, path);
}

}  // namespace karreg::builder
