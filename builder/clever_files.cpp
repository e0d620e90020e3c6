#include "builder/clever_files.hpp"

#include <array>

#include "builder/manifest.hpp"

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

}  // namespace

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
