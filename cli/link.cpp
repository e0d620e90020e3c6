#include "cli/link.hpp"

#include <algorithm>

#include "cli/whole_file.hpp"
#include "common/json.hpp"
#include "common/suggest.hpp"

namespace karreg::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

Result<std::vector<LinkedApp>> parse(const fs::path& file, const std::string& text) {
  const Error broken(ErrorKind::invalid,
                     file.string() +
                         " is not a list of linked apps. Mend it, or remove it and run "
                         "`karreg link`.");
  const Json parsed = Json::parse(text, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("apps") || !parsed["apps"].is_array()) return broken;
  std::vector<LinkedApp> apps;
  for (const Json& each : parsed["apps"]) {
    if (!each.is_object()) return broken;
    LinkedApp app;
    for (const auto& [key, member] :
         {std::pair{"alias", &LinkedApp::alias}, std::pair{"app_id", &LinkedApp::id},
          std::pair{"org_id", &LinkedApp::owner}, std::pair{"name", &LinkedApp::name},
          std::pair{"git_url", &LinkedApp::git_url}}) {
      if (!each.contains(key) || !each[key].is_string()) return broken;
      app.*member = each[key].get<std::string>();
    }
    apps.push_back(std::move(app));
  }
  return apps;
}

std::vector<std::string> aliases(const Links& links) {
  std::vector<std::string> names;
  for (const LinkedApp& app : links.apps) names.push_back(app.alias);
  return names;
}

std::string listed(const Links& links) {
  std::string text;
  for (const std::string& alias : aliases(links)) text += (text.empty() ? "" : ", ") + alias;
  return text;
}

Result<std::vector<LinkedApp>::const_iterator> find(const Links& links, const std::string& alias) {
  if (links.apps.empty())
    return Error(
        ErrorKind::not_found,
        "No app is linked to this folder. Run `karreg link APP` (`karreg list` shows them) "
        "or `karreg create NAME`, or name one with --app.");
  if (alias.empty()) {
    if (links.apps.size() == 1) return links.apps.begin();
    return Error(ErrorKind::invalid, "Several apps are linked to this folder: " + listed(links) +
                                         ". Choose one with --alias.");
  }
  const auto found = std::ranges::find(links.apps, alias, &LinkedApp::alias);
  if (found == links.apps.end())
    return Error(ErrorKind::not_found, "No app is linked as `" + alias +
                                           "`. Linked are: " + listed(links) + "." +
                                           did_you_mean(alias, aliases(links)));
  return found;
}

}  // namespace

Result<Links> find_links(const fs::path& folder) {
  for (fs::path at = folder;; at = at.parent_path()) {
    const fs::path file = at / link_file_name;
    std::error_code absent;
    if (fs::is_regular_file(file, absent)) {
      auto text = read_whole(file);
      if (!text) return text.error();
      auto apps = parse(file, *text);
      if (!apps) return apps.error();
      return Links{file, std::move(*apps)};
    }
    if (at == at.parent_path()) return Links{folder / link_file_name, {}};
  }
}

Result<void> save_links(const Links& links) {
  if (links.apps.empty()) {
    std::error_code ignored;
    fs::remove(links.file, ignored);
    return ok();
  }
  Json apps = Json::array();
  for (const LinkedApp& app : links.apps)
    apps.push_back({{"alias", app.alias},
                    {"app_id", app.id},
                    {"org_id", app.owner},
                    {"name", app.name},
                    {"git_url", app.git_url}});
  return write_whole(links.file, Json({{"apps", apps}}).dump(2) + "\n", 0644);
}

Result<LinkedApp> choose_link(const Links& links, const std::string& alias) {
  auto found = find(links, alias);
  if (!found) return found.error();
  return **found;
}

Result<void> add_link(Links& links, LinkedApp app) {
  for (LinkedApp& known : links.apps) {
    if (known.alias != app.alias) continue;
    if (known.id != app.id)
      return Error(ErrorKind::conflict,
                   "The alias `" + app.alias + "` is taken by " + known.id +
                       ". Choose another with --alias, or run `karreg unlink " + app.alias +
                       "` first.");
    known = std::move(app);
    return ok();
  }
  links.apps.push_back(std::move(app));
  return ok();
}

Result<LinkedApp> remove_link(Links& links, const std::string& alias) {
  auto found = find(links, alias);
  if (!found) return found.error();
  LinkedApp removed = **found;
  links.apps.erase(*found);
  return removed;
}

}  // namespace karreg::cli
