#include "common/images.hpp"

#include <algorithm>

namespace karreg {

namespace {
constexpr std::string_view npm_mark = " (npm)";
}  // namespace

Packages parse_manifest(std::string_view text) {
  Packages packages;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const bool of_npm = line.ends_with(npm_mark);
    if (of_npm) line.remove_suffix(npm_mark.size());
    const auto blank = line.find(' ');
    if (blank == 0 || blank == std::string_view::npos || blank + 1 == line.size() ||
        line.find(' ', blank + 1) != std::string_view::npos)
      continue;
    std::string name(line.substr(0, blank));
    if (of_npm) name += npm_mark;
    packages.emplace(std::move(name), line.substr(blank + 1));
  }
  return packages;
}

std::vector<PackageChange> package_changes(const Packages& from, const Packages& to) {
  std::map<std::string, PackageChange> changed;
  for (const auto& [name, version] : from) changed[name] = {name, version, ""};
  for (const auto& [name, version] : to) {
    auto& change = changed[name];
    change.name = name;
    change.to = version;
  }
  std::vector<PackageChange> changes;
  for (auto& [name, change] : changed)
    if (change.from != change.to) changes.push_back(std::move(change));
  return changes;
}

std::string major_minor(std::string_view version) {
  // Debian Policy 5.6.12: [epoch:]upstream[-revision].
  if (const auto colon = version.find(':'); colon != std::string_view::npos)
    version.remove_prefix(colon + 1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  std::size_t end = 0;
  for (int numbers = 0; numbers < 2; ++numbers) {
    const std::size_t begin = numbers == 0 ? 0 : end + 1;
    if (numbers > 0 && (end >= version.size() || version[end] != '.')) break;
    std::size_t next = begin;
    while (next < version.size() && is_digit(version[next])) ++next;
    if (next == begin) break;
    end = next;
  }
  return std::string(end == 0 ? version : version.substr(0, end));
}

std::string reason_to_rebuild(const ImageFacts& from, const ImageFacts& to) {
  if (!from.versions || !to.versions)
    return "the versions in the image that it runs on are not known";
  if (from.version != to.version)
    return "the image is \"" + to.version + "\" instead of \"" + from.version + "\"";
  std::map<std::string, std::pair<std::string, std::string>> tools;
  for (const auto& [tool, version] : *from.versions) tools[tool].first = major_minor(version);
  for (const auto& [tool, version] : *to.versions) tools[tool].second = major_minor(version);
  for (const auto& [tool, versions] : tools) {
    const auto& [before, after] = versions;
    if (before == after) continue;
    if (before.empty()) return tool + " is new in the image";
    if (after.empty()) return tool + " is not in the image any more";
    return tool + " is " + after + " instead of " + before;
  }
  return {};
}

}  // namespace karreg
