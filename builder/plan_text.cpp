#include "builder/plan_text.hpp"

#include <fmt/format.h>

#include "builder/shell_line.hpp"
#include "builder/system_packages.hpp"

namespace karreg::builder {

namespace {

/// @p command below a line that says what it is.
std::string indented(std::string command) {
  for (auto at = command.find('\n'); at != std::string::npos; at = command.find('\n', at + 1))
    command.insert(at + 1, "         ");
  return "         " + command + "\n";
}

std::string told(const wire::CronEntry& each) {
  return fmt::format("Cron:  {} (UTC, {} s at most{})\n", each.schedule, each.wall_ms / 1000,
                     each.catch_up ? ", and once for times that were missed" : "") +
         indented(each.command);
}

std::string told(const wire::guest::Worker& worker) {
  return fmt::format("Worker: {} (started again: {}{})\n", worker.name, worker.restart,
                     worker.restart == "no"
                         ? ""
                         : fmt::format(", after {} s", worker.restart_delay_ms / 1000)) +
         indented(worker.command);
}

}  // namespace

std::string rendered(const wire::BuildPlan& plan) {
  std::string text = fmt::format("Type:  {} ({}){}{}\n", plain_runtime(plan.runtime), plan.tool,
                                 plan.build_runtime.empty() ? "" : ", built on ",
                                 plain_runtime(plan.build_runtime));
  for (const auto& step : plan.steps) text += "Step:  " + step.name + "\n" + indented(step.command);
  if (!plan.release.empty()) text += "Release, once a deployment:\n" + indented(plan.release);
  for (const std::string& hook : {plan.pre_run, plan.before_start})
    if (!hook.empty()) text += "Before each start:\n" + indented(hook);
  std::string start;
  for (const std::string& word : plan.run_command)
    start += (start.empty() ? "" : " ") + shell_quote(word);
  text += "Start: " + start + "   (port " + std::to_string(plan.port) + ")\n";
  for (const auto& worker : plan.workers) text += told(worker);
  for (const auto& each : plan.cron) text += told(each);
  text += "Why:\n";
  for (const std::string& reason : plan.reasons) text += "  - " + reason + "\n";
  if (!plan.problem.empty()) text += "Cannot be built here: " + plan.problem + "\n";
  return text;
}

}  // namespace karreg::builder
