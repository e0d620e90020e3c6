#pragma once
// Small builders for inspector tests.

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "builder/inspect.hpp"

namespace karreg::builder {

using Files = std::map<std::string, std::string>;
using Env = std::map<std::string, std::string>;

/// The paths of submodules and their commits.
using Gitlinks = std::map<std::string, std::string>;

inline Result<wire::BuildPlan> inspected(const Files& files, const Env& env = {},
                                         const std::string& variant = "auto") {
  return inspect(MemoryTree(files), {variant, env});
}

/// The plan, or a failed test with the inspector's message.
inline wire::BuildPlan plan_of(const Files& files, const Env& env = {},
                               const std::string& variant = "auto") {
  auto plan = inspected(files, env, variant);
  if (!plan) FAIL(plan.error().message());
  return *plan;
}

/// The message of the refusal; a plan is a failed test.
inline std::string refusal_of(const Files& files, const Env& env = {},
                              const std::string& variant = "auto") {
  auto plan = inspected(files, env, variant);
  if (plan) FAIL("a plan was made: " + nlohmann::json(*plan).dump());
  CHECK(plan.error().kind() == ErrorKind::invalid);
  return plan.error().message();
}

/// "install|build": the names of the steps.
inline std::string step_names(const wire::BuildPlan& plan) {
  std::string names;
  for (const auto& step : plan.steps) names += (names.empty() ? "" : "|") + step.name;
  return names;
}

inline std::string command_of(const wire::BuildPlan& plan, const std::string& step) {
  for (const auto& each : plan.steps)
    if (each.name == step) return each.command;
  return "(no step " + step + ")";
}

/// The command of the step `install`, out of the script that keeps what it installs for the next
/// build.
inline std::string install_of(const wire::BuildPlan& plan) {
  const std::string script = command_of(plan, "install");
  const std::string before = " $kept.tar\n  ";
  const auto at = script.find(before);
  if (at == std::string::npos) return script;
  const auto begin = at + before.size();
  return script.substr(begin, script.find('\n', begin) - begin);
}

/// The run command with blanks between its words.
inline std::string run_of(const wire::BuildPlan& plan) {
  std::string line;
  for (const auto& word : plan.run_command) line += (line.empty() ? "" : " ") + word;
  return line;
}

inline bool gives_reason(const wire::BuildPlan& plan, const std::string& reason) {
  return std::ranges::find(plan.reasons, reason) != plan.reasons.end();
}

}  // namespace karreg::builder
