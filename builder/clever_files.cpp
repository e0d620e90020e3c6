#include "builder/clever_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "builder/language.hpp"
#include "builder/manifest.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder {
namespace {

/// The value at "deploy.goal" of @p all; null when some part of the way is absent.
const nlohmann::json* value_at(const nlohmann::json& all, std::string_view path) {
  const nlohmann::json* place = &all;
  while (!path.empty()) {
    const auto dot = path.find('.');
    const auto found = place->find(std::string(path.substr(0, dot)));
    if (found == place->end()) return nullptr;
    place = &*found;
    path.remove_prefix(dot == std::string_view::npos ? path.size() : dot + 1);
    if (!path.empty() && !place->is_object()) return nullptr;
  }
  return place->is_null() ? nullptr : place;
}

std::optional<std::string> as_text(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer() || value.is_boolean()) return value.dump();
  if (!value.is_array()) return std::nullopt;
  std::string all;
  for (const nlohmann::json& each : value) {
    if (!each.is_string()) return std::nullopt;
    all += (all.empty() ? "" : ",") + each.get<std::string>();
  }
  return all;
}

constexpr const char* cron_path = "clevercloud/cron.json";
/// What `$ROOT` of an entry stands for: where the app lies in its VM.
constexpr std::string_view app_root = "/app";

bool is_of_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// @p command with the app's folder for `$ROOT` and `${ROOT}`.
std::string with_root(std::string_view command) {
  std::string text;
  while (!command.empty()) {
    const auto at = command.find('$');
    text += command.substr(0, at);
    if (at == std::string_view::npos) break;
    command.remove_prefix(at);
    std::size_t taken = 0;
    if (command.starts_with("${ROOT}")) taken = 7;
    if (command.starts_with("$ROOT") && (command.size() == 5 || !is_of_name(command[5]))) taken = 5;
    text += taken > 0 ? app_root : command.substr(0, 1);
    command.remove_prefix(taken > 0 ? taken : 1);
  }
  return text;
}

/// "0 3 * * * ./clean": its first five words and the rest; one word and the rest after an `@`.
wire::CronEntry cron_entry(std::string_view line) {
  constexpr std::string_view blanks = " \t";
  const std::string all = trimmed(line);
  std::string_view rest = all;
  std::string schedule;
  for (int fields = all.starts_with('@') ? 1 : 5; fields > 0 && !rest.empty(); --fields) {
    const auto end = std::min(rest.find_first_of(blanks), rest.size());
    schedule += (schedule.empty() ? "" : " ") + std::string(rest.substr(0, end));
    rest.remove_prefix(std::min(rest.find_first_not_of(blanks, end), rest.size()));
  }
  wire::CronEntry entry;
  entry.schedule = std::move(schedule);
  entry.command = with_root(rest);
  return entry;
}

}  // namespace

Result<std::optional<std::vector<SaidCron>>> read_clever_cron(const SourceTree& tree) {
  if (!tree.has_file(cron_path)) return std::optional<std::vector<SaidCron>>();
  auto text = tree.read(cron_path, max_inspected_bytes);
  if (!text) return Error(ErrorKind::invalid, text.error().message());
  auto parsed = parse_json(*text, cron_path);
  if (!parsed) return parsed.error();
  if (!parsed->is_array())
    return Error(ErrorKind::invalid, std::string(cron_path) + ": expected a list of texts, found " +
                                         parsed->type_name() +
                                         ". For example [\"0 3 * * * $ROOT/clean.sh\"].");
  std::vector<SaidCron> all;
  for (std::size_t i = 0; i < parsed->size(); ++i) {
    const std::string place = fmt::format("{}, entry {}", cron_path, i + 1);
    const nlohmann::json& each = (*parsed)[i];
    if (!each.is_string())
      return Error(ErrorKind::invalid, place +
                                           ": must be text, for example \"0 3 * * * "
                                           "$ROOT/clean.sh\".");
    const std::string origin = fmt::format("entry {} of {}", i + 1, cron_path);
    if (auto added = add_cron(all, {cron_entry(each.get<std::string>()), origin}); !added)
      return Error(ErrorKind::invalid, place + ": " + added.error().message());
  }
  return std::optional(std::move(all));
}

std::span<const CleverKey> clever_keys() {
  static constexpr std::array all = {
      CleverKey{"go.json", "deploy.main", "CC_GO_PKG"},
      CleverKey{"gradle.json", "build.goal", "GRADLE_BUILD_GOAL"},
      CleverKey{"gradle.json", "deploy.goal", "GRADLE_DEPLOY_GOAL"},
      CleverKey{"jar.json", "build.goal", "MAVEN_BUILD_GOAL"},
      CleverKey{"jar.json", "deploy.jarName", "CC_JAR_PATH"},
      CleverKey{"jar.json", "deploy.args", "CC_JAR_ARGS"},
      CleverKey{"jar.json", "deploy.javaArgs", "CC_EXTRA_JAVA_ARGS"},
      CleverKey{"maven.json", "build.goal", "MAVEN_BUILD_GOAL"},
      CleverKey{"maven.json", "deploy.goal", "MAVEN_DEPLOY_GOAL"},
      CleverKey{"php.json", "deploy.webroot", "CC_WEBROOT"},
      CleverKey{"python.json", "deploy.module", "CC_PYTHON_MODULE"},
      CleverKey{"python.json", "deploy.managetasks", "CC_PYTHON_MANAGE_TASKS"},
      CleverKey{"ruby.json", "deploy.rakegoals", "CC_RAKEGOALS"},
      CleverKey{"sbt.json", "deploy.goal", "SBT_DEPLOY_GOAL"},
  };
  return all;
}

Result<std::map<std::string, Given>> read_clever_files(const SourceTree& tree) {
  std::map<std::string, Given> found;
  std::map<std::string, nlohmann::json> files;
  for (const CleverKey& key : clever_keys()) {
    const std::string path = "clevercloud/" + std::string(key.file);
    if (!tree.has_file(path)) continue;
    auto file = files.find(path);
    if (file == files.end()) {
      auto read = read_json_object(tree, path);
      if (!read) return read.error();
      file = files.emplace(path, std::move(*read)).first;
    }
    const nlohmann::json* value = value_at(file->second, key.path);
    if (value == nullptr) continue;
    auto text = as_text(*value);
    if (!text)
      return Error(ErrorKind::invalid,
                   path + ": `" + std::string(key.path) + "` must be text or a list of texts.");
    found.try_emplace(std::string(key.variable),
                      Given{std::move(*text), std::string(key.path) + " of " + path});
  }
  return found;
}

}  // namespace karreg::builder
