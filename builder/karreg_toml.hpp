#pragma once
/// karreg.toml: what a repository says about its own build and start (docs/karreg-toml.md).
///
///     [build]     type, folder, command, before, after
///     [run]       command, before, webroot
///     [versions]  node, python, ...
///     [system]    packages, build-packages
///     [env]       NAME = "value", for the build and for the running app
///     [workers]   name = "command", beside the app on every instance
///     [worker]    restart, restart-delay
///     [release]   command
///     [[cron]]    schedule, command, time-limit, catch-up
///
/// A key that stands for a variable of the environment ends as that variable, unless something
/// stronger gives it (overrides.hpp).

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "builder/overrides.hpp"
#include "builder/processes.hpp"
#include "common/error.hpp"

namespace karreg::builder {

inline constexpr const char* karreg_toml_name = "karreg.toml";

struct KarregToml {
  std::string type;                                ///< build.type; empty: not given
  std::map<std::string, Given> given;              ///< variable -> value
  std::map<std::string, std::string> env;          ///< [env], for the plan
  std::optional<std::vector<SaidWorker>> workers;  ///< [workers], when it is there
  std::optional<std::vector<SaidCron>> cron;       ///< [[cron]], when there is one
};

/// @p text of the file at @p path, which messages name. @p known: the variables that have a key.
/// Error `invalid`: "karreg.toml, line 3, column 1: ...", for what is not TOML, for a key that is
/// not known (with the nearest one that is) and for a value of the wrong kind.
Result<KarregToml> parse_karreg_toml(std::string_view path, std::string_view text,
                                     std::span<const Variable> known);

}  // namespace karreg::builder
