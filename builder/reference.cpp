#include "builder/reference.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <span>

#include "builder/inspect.hpp"
#include "builder/language.hpp"
#include "builder/plan_text.hpp"
#include "common/wire/app_types.hpp"

namespace karreg::builder {
namespace {

namespace fs = std::filesystem;

std::string row(const Variable& variable) {
  return fmt::format("| {} | `{}` | {} |\n",
                     variable.key.empty() ? std::string() : fmt::format("`{}`", variable.key),
                     variable.name, variable.meaning);
}

std::string variables_table(std::span<const Variable> variables) {
  std::string text = "| karreg.toml | variable | meaning |\n| --- | --- | --- |\n";
  for (const Variable& variable : variables) text += row(variable);
  return text;
}

std::string keys() {
  std::map<std::string_view, const Variable*> known;
  std::vector<Variable> all(common_variables().begin(), common_variables().end());
  for (const Language& language : languages())
    for (const Variable& variable : language.variables)
      // Several languages have CC_WEBROOT.
      if (std::ranges::find(all, variable.name, &Variable::name) == all.end())
        all.push_back(variable);
  return variables_table(all);
}

std::string versions_of(std::string_view language) {
  std::string text;
  for (const RuntimeVersion& each : runtimes_of(language))
    if (!each.version.empty())
      text += (text.empty() ? "" : ", ") + each.version + (each.usual ? " (usual)" : "");
  return text;
}

std::string table() {
  std::string text =
      "| language | type | also | decides | versions |\n| --- | --- | --- | --- | --- |\n";
  for (const Language& language : languages()) {
    const auto type = wire::app_type(language.name);
    text += fmt::format("| [{}]({}.md) | `{}` | {} | {} | {} |\n", language.title, language.name,
                        language.name, type ? type->also : "", language.looked_for,
                        versions_of(language.name));
  }
  return text;
}

const Language* language_of_page(const std::string& path) {
  const std::string name = fs::path(path).stem().string();
  for (const Language& language : languages())
    if (language.name == name) return &language;
  return nullptr;
}

std::string variables(const Language& language) {
  std::string text;
  if (!language.variables.empty()) text += variables_table(language.variables);
  const std::string versions = versions_of(language.name);
  if (!versions.empty())
    text += (text.empty() ? "" : "\n") + fmt::format("Versions: {}.\n", versions);
  return text.empty() ? "It has no variables of its own.\n" : text;
}

/// The files that a page shows: its code blocks whose first line names one.
std::map<std::string, std::string> files_in(std::string_view page) {
  std::map<std::string, std::string> files;
  constexpr std::string_view fence = "```";
  while (!page.empty()) {
    auto end = page.find('\n');
    const std::string_view line = page.substr(0, end);
    page.remove_prefix(end == std::string_view::npos ? page.size() : end + 1);
    if (!line.starts_with(fence)) continue;
    const auto blank = line.find(' ');
    const auto close = page.find("\n```");
    const bool empty = page.starts_with(fence);
    if (!empty && close == std::string_view::npos) break;
    if (blank != std::string_view::npos)
      files[std::string(line.substr(blank + 1))] =
          empty ? std::string() : std::string(page.substr(0, close + 1));
    page.remove_prefix(empty ? 0 : close + 1);
    end = page.find('\n');
    page.remove_prefix(end == std::string_view::npos ? page.size() : end + 1);
  }
  return files;
}

Result<std::string> plan_of(std::string_view above) {
  auto plan = inspect(MemoryTree(files_in(above)), {});
  if (!plan) return plan.error();
  // What every plan ends with stands in karreg-toml.md.
  plan->reasons.pop_back();
  return "```text\n" + rendered(*plan) + "```\n";
}

Result<std::string> part(const std::string& name, const std::string& path, std::string_view above) {
  if (name == "keys") return keys();
  if (name == "table") return table();
  if (name == "plan") return plan_of(above);
  const Language* language = language_of_page(path);
  if (name == "variables" && language != nullptr) return variables(*language);
  return Error(ErrorKind::invalid, "there is no part `" + name + "` of this page");
}

}  // namespace

Result<std::string> with_reference(const std::string& path, const std::string& page) {
  std::string made;
  std::size_t at = 0;
  for (;;) {
    const auto begin = page.find("<!-- ", at);
    if (begin == std::string::npos) return made + page.substr(at);
    const auto close = page.find(" -->\n", begin);
    const std::string name =
        close == std::string::npos ? "" : page.substr(begin + 5, close - begin - 5);
    const std::string mark = "<!-- /" + name + " -->";
    const auto end = page.find(mark, begin);
    if (name.empty() || end == std::string::npos)
      return Error(ErrorKind::invalid,
                   fmt::format("{}: the mark `<!-- {} -->` has no `{}`", path, name, mark));
    auto text = part(name, path, std::string_view(page).substr(0, begin));
    if (!text) return text.error().within(path);
    made += page.substr(at, begin - at) + "<!-- " + name + " -->\n" + *text + mark;
    at = end + mark.size();
  }
}

Result<int> write_reference(const fs::path& docs) {
  std::vector<std::string> pages = {"karreg-toml.md"};
  std::error_code failed;
  for (fs::directory_iterator it(docs / "languages", failed), end; !failed && it != end;
       it.increment(failed))
    pages.push_back("languages/" + it->path().filename().string());
  if (failed)
    return Error(ErrorKind::not_found, (docs / "languages").string() + ": " + failed.message());
  int changed = 0;
  for (const std::string& name : pages) {
    std::ifstream in(docs / name, std::ios::binary);
    const std::string page(std::istreambuf_iterator<char>(in), {});
    if (!in) return Error(ErrorKind::not_found, (docs / name).string() + " cannot be read");
    auto made = with_reference(name, page);
    if (!made) return made.error();
    if (*made == page) continue;
    std::ofstream out(docs / name, std::ios::binary);
    out << *made;
    if (!out.flush())
      return Error(ErrorKind::internal, (docs / name).string() + " cannot be written");
    ++changed;
  }
  return changed;
}

}  // namespace karreg::builder
