#include "builder/plan_text.hpp"

#include "builder/shell_line.hpp"

namespace karreg::builder {

std::string rendered(const wire::BuildPlan& plan) {
  std::string text = "Type:  " + plan.runtime + " (" + plan.tool + ")" +
                     (plan.build_runtime.empty() ? "" : ", built on " + plan.build_runtime) + "\n";
  for (const auto& step : plan.steps) {
    std::string command = step.command;
    for (auto at = command.find('\n'); at != std::string::npos; at = command.find('\n', at + 1))
      command.insert(at + 1, "         ");
    text += "Step:  " + step.name + "\n         " + command + "\n";
  }
  for (const std::string& hook : {plan.pre_run, plan.before_start})
    if (!hook.empty()) text += "Before each start:\n         " + hook + "\n";
  std::string start;
  for (const std::string& word : plan.run_command)
    start += (start.empty() ? "" : " ") + shell_quote(word);
  text += "Start: " + start + "   (port " + std::to_string(plan.port) + ")\nWhy:\n";
  for (const std::string& reason : plan.reasons) text += "  - " + reason + "\n";
  if (!plan.problem.empty()) text += "Cannot be built here: " + plan.problem + "\n";
  return text;
}

}  // namespace karreg::builder
