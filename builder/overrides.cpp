#include "builder/overrides.hpp"

#include <array>

#include "builder/shell_line.hpp"

namespace karreg::builder {

std::span<const Variable> common_variables() {
  static constexpr std::array all = {
      Variable{"APP_FOLDER", "build.folder", "the folder of the repository that is the app"},
      Variable{"CC_BUILD_COMMAND", "build.command", "replaces or adds the build step"},
      Variable{"CC_PRE_BUILD_HOOK", "build.before", "runs before all steps of the build"},
      Variable{"CC_POST_BUILD_HOOK", "build.after", "runs after all steps of the build"},
      Variable{"CC_BUILD_TIME_LIMIT", "build.time-limit",
               "what the steps of the build may take together, up to the platform's limit: `90s`, "
               "`10m`"},
      Variable{"CC_GIT_CREDENTIALS", "",
               "for private submodules: `https://USER:TOKEN@HOST`, several with blanks between "
               "them; no place for it but the environment"},
      Variable{"CC_SSH_PRIVATE_KEY", "",
               "for private submodules by SSH: a key without a passphrase; no place for it but the "
               "environment"},
      Variable{"CC_SSH_KNOWN_HOSTS", "",
               "lines of known_hosts for its hosts, besides those of GitHub, GitLab, Bitbucket and "
               "Codeberg"},
      Variable{"CC_DISABLE_GIT_SUBMODULES", "", "`true` leaves git submodules empty"},
      Variable{"CC_SYSTEM_PACKAGES", "system.packages",
               "packages of Debian for the app and its build, with blanks between them, in the "
               "place of an "
               "Aptfile"},
      Variable{"CC_BUILD_PACKAGES", "system.build-packages",
               "packages of Debian for the build alone"},
      Variable{"CC_RUN_COMMAND", "run.command", "starts the app"},
      Variable{"CC_PRE_RUN_HOOK", "run.before", "runs on every instance before the app starts"},
      Variable{"CC_WORKER_COMMAND", "",
               "a worker beside the app; more of them: `CC_WORKER_COMMAND_0` to "
               "`CC_WORKER_COMMAND_99`"},
      Variable{"CC_WORKER_RESTART", "worker.restart",
               "whether a worker that ended is started again: `always`, `on-failure` (usual) or "
               "`no`"},
      Variable{"CC_WORKER_RESTART_DELAY", "worker.restart-delay",
               "seconds before it is started again, 0 to 3600 (usual: 1)"},
      Variable{"CC_RELEASE_COMMAND", "release.command",
               "runs once a deployment, before its instances start"},
  };
  return all;
}

Overrides::Overrides(const std::map<std::string, std::string>& env) {
  for (const auto& [name, value] : env)
    if (std::string text = trimmed(value); !text.empty())
      values_.emplace(name, Given{std::move(text), name});
}

void Overrides::add_weaker(const std::map<std::string, Given>& more) {
  for (const auto& [name, given] : more)
    if (std::string text = trimmed(given.value); !text.empty())
      values_.emplace(name, Given{std::move(text), given.origin});
}

std::optional<Given> Overrides::find(std::string_view name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return std::nullopt;
  return found->second;
}

std::optional<std::string> Overrides::variable(std::string_view name) const {
  const auto found = find(name);
  if (!found) return std::nullopt;
  return found->value;
}

}  // namespace karreg::builder
