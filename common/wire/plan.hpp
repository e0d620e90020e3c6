#pragma once
/// The build plan: what builder::inspect() decides, stored with the build and the artifact, read by
/// the scheduler and the agent.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/json.hpp"
#include "common/wire/guest.hpp"

namespace karreg::wire {

/// A command that runs at its times, once whatever the number of instances, each time in a fresh
/// VM.
struct CronEntry {
  std::string schedule;              ///< as common/cron.hpp reads it, in UTC
  std::string command;               ///< shell, in the app's folder
  std::int64_t wall_ms = 3'600'000;  ///< it is ended after it
  bool catch_up = false;             ///< one that was missed runs later, once; else it is skipped
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(CronEntry, schedule, command, wall_ms, catch_up)
  bool operator==(const CronEntry&) const = default;
};

/// How a tree becomes an app. Equal plans on equal trees and images give equal artifacts.
struct BuildPlan {
  std::string folder;         ///< of the repository, that is the app; empty: its root
  std::string runtime;        ///< key of the image catalogue: what the app runs on
  std::string build_runtime;  ///< whose build image runs the steps; empty: that of @c runtime
  /// Packages of Debian that both images have beside those of the runtime, which the key of the
  /// catalogue tells apart ("python+3f2a9c1d0e5b"); sorted.
  std::vector<std::string> packages;
  std::vector<std::string> build_packages;  ///< the same, of the build image alone
  std::string tool;                         ///< npm, pip, cmake, none, ...
  std::vector<guest::BuildStep> steps;      ///< may be empty: the tree is the app
  std::string output_root = "/app";         ///< absolute path in the build VM of what becomes /app
  std::string pre_run;       ///< shell, before the app starts, on every instance; may be empty
  std::string before_start;  ///< the same, after it, and not the owner's but the language's
  std::vector<std::string> run_command;  ///< argv
  std::vector<guest::Worker> workers;    ///< beside it on every instance
  std::string release;  ///< shell, once a deployment, before its instances start; may be empty
  std::vector<CronEntry> cron;  ///< no two with the same schedule and command
  int port = 8080;
  std::map<std::string, std::string>
      env;  ///< the runtime's defaults (NODE_ENV=production, ...); the app's own env wins
  std::vector<std::string> reasons;  ///< sentences for the pusher: which files decided, what else
                                     ///< was seen, how to override
  /// Why this cannot be built here although it is understood, with the way out; empty: it can.
  std::string problem;
  /// What all steps may take together; 0: as long as the platform lets them. Goes into
  /// guest::BuildConfig.
  std::int64_t wall_ms = 0;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(BuildPlan, folder, runtime, build_runtime, packages,
                                              build_packages, tool, steps, output_root, pre_run,
                                              before_start, run_command, workers, release, cron,
                                              port, env, reasons, problem, wall_ms)

  /// Key of the image catalogue whose build image runs the steps.
  const std::string& built_on() const { return build_runtime.empty() ? runtime : build_runtime; }
};

}  // namespace karreg::wire
