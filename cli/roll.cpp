#include "cli/roll.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include "cli/child.hpp"
#include "cli/retry.hpp"

namespace karreg::cli {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t digest_shown = 12;

std::string text_at(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// The array @p name of @p object; empty when it is none.
Json list_at(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_array() ? *found : Json::array();
}

Error no(const char* what) {
  return {ErrorKind::unavailable,
          std::string("The platform answered something that is no ") + what + "."};
}

}  // namespace

Result<std::vector<OutdatedApp>> parse_outdated(const Json& answer) {
  if (!answer.is_array()) return no("list of apps on older images");
  std::vector<OutdatedApp> all;
  for (const Json& each : answer) {
    if (!each.is_object() || text_at(each, "name").empty())
      return no("list of apps on older images");
    OutdatedApp& app = all.emplace_back();
    app.name = text_at(each, "name");
    app.runtime = text_at(each, "runtime");
    app.image = text_at(each, "image");
    app.new_image = text_at(each, "newImage");
    for (const Json& change : list_at(each, "packages"))
      if (change.is_object())
        app.packages.push_back(
            {text_at(change, "name"), text_at(change, "from"), text_at(change, "to")});
    app.packages_unknown = text_at(each, "packagesUnknown");
    app.rebuild = text_at(each, "rebuild");
  }
  return all;
}

std::vector<std::string> rendered(const OutdatedApp& app) {
  const std::size_t count = app.packages.size();
  const std::string differ = !app.packages_unknown.empty() ? "packages not known"
                             : count == 0                  ? "no package differs"
                             : count == 1                  ? "1 package differs"
                                          : std::to_string(count) + " packages differ";
  std::vector<std::string> lines = {
      harmless(app.name) + " (" + harmless(app.runtime) +
      "): " + harmless(app.image.substr(0, digest_shown)) + " -> " +
      harmless(app.new_image.substr(0, digest_shown)) + ", " + differ + ", " +
      (app.rebuild.empty() ? "no build needed" : "to be built again: " + harmless(app.rebuild))};
  if (!app.packages_unknown.empty()) lines.push_back("    " + harmless(app.packages_unknown));
  std::size_t widest = 0;
  for (const auto& change : app.packages) widest = std::max(widest, change.name.size());
  for (const auto& change : app.packages)
    lines.push_back("    " + harmless(change.name) + std::string(widest - change.name.size(), ' ') +
                    "  " + (change.from.empty() ? "-" : harmless(change.from)) + " -> " +
                    (change.to.empty() ? "-" : harmless(change.to)));
  return lines;
}

Result<Roll> parse_roll(const Json& answer) {
  if (!answer.is_object() || text_at(answer, "id").empty() || text_at(answer, "state").empty())
    return no("roll");
  Roll roll;
  roll.id = text_at(answer, "id");
  roll.state = text_at(answer, "state");
  roll.author = text_at(answer, "author");
  roll.message = text_at(answer, "message");
  roll.requested_at = text_at(answer, "requestedAt");
  for (const Json& each : list_at(answer, "apps")) {
    if (!each.is_object()) return no("roll");
    const auto wave = each.find("wave");
    roll.apps.push_back({text_at(each, "name"),
                         wave != each.end() && wave->is_number_integer() ? wave->get<int>() : 1,
                         text_at(each, "state"), text_at(each, "message")});
  }
  return roll;
}

std::string extent(const Roll& roll) {
  const auto counted = [](std::size_t count, const std::string& what) {
    return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
  };
  return counted(roll.apps.size(), "app") + " in " +
         counted(static_cast<std::size_t>(roll.waves()), "wave");
}

std::vector<std::string> changes(const std::optional<Roll>& before, const Roll& roll) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < roll.apps.size(); ++i) {
    const auto& app = roll.apps[i];
    const bool known = before && i < before->apps.size();
    if (known && before->apps[i].state == app.state && before->apps[i].message == app.message)
      continue;
    if (!known && app.state == "waiting" && app.message.empty()) continue;
    lines.push_back("wave " + std::to_string(app.wave) + " of " + std::to_string(roll.waves()) +
                    ": " + harmless(app.name) + " " + harmless(app.state) +
                    (app.message.empty() ? "" : ": " + harmless(app.message)));
  }
  return lines;
}

int exit_code_of(const Roll& roll) {
  return roll.state == "stopped" || roll.state == "cancelled" ? deployment_failed_exit : 0;
}

Result<Json> follow_roll(Session& session, const std::string& path) {
  detach_on_interrupt(
      "\nDetached: the roll goes on. `karreg images status --follow` watches it, `karreg images "
      "cancel` begins no further wave.\n");
  auto api = session.api();
  if (!api) return api.error();
  for (std::optional<Roll> before;;) {
    auto answer = patiently([&] { return (*api)->get(path); });
    if (!answer) return answer.error();
    auto roll = parse_roll(*answer);
    if (!roll) return roll.error();
    for (const auto& line : changes(before, *roll)) session.terminal().note(line);
    if (roll->over()) return *answer;
    before = std::move(*roll);
    std::this_thread::sleep_for(1s);
  }
}

}  // namespace karreg::cli
