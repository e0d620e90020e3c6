#include "builder/build_key.hpp"

#include <algorithm>
#include <array>

#include "common/crypto/digest.hpp"
#include "common/wire/json.hpp"

namespace karreg::builder {

bool changes_build(const std::string& name) {
  // Identity of one deployment or instance, and what is read when the app starts (the run command
  // itself is part of the plan).
  constexpr std::array<std::string_view, 15> never = {
      "COMMIT_ID",       "CC_COMMIT_ID",       "CC_DEPLOYMENT_ID",        "INSTANCE_ID",
      "INSTANCE_TYPE",   "INSTANCE_NUMBER",    "CC_PRETTY_INSTANCE_NAME", "PORT",
      "APP_ID",          "CC_APP_NAME",        "CC_REVERSE_PROXY_IPS",    "CC_RUN_COMMAND",
      "CC_PRE_RUN_HOOK", "CC_RELEASE_COMMAND", "CC_TROUBLESHOOT"};
  return std::ranges::find(never, name) == never.end() && !name.starts_with("CC_HEALTH_CHECK_") &&
         !name.starts_with("CC_WORKER_");
}

std::string build_key(const std::string& tree_id, const wire::BuildPlan& plan,
                      const std::string& image_digest,
                      const std::map<std::string, std::string>& env) {
  wire::BuildPlan what = plan;
  what.reasons.clear();
  what.wall_ms = 0;
  what.folder.clear();  // the tree is that of the folder
  // What is only run later leaves the artifact as it is.
  what.workers.clear();
  what.release.clear();
  what.cron.clear();
  std::map<std::string, std::string> relevant;
  if (!plan.steps.empty())
    std::ranges::copy_if(env, std::inserter(relevant, relevant.end()),
                         [](const auto& variable) { return changes_build(variable.first); });
  const nlohmann::json all = {{"format", 1},
                              {"tree", tree_id},
                              {"plan", nlohmann::json(what)},
                              {"image", image_digest},
                              {"env", relevant}};
  return crypto::sha256_hex(wire::to_text(all));
}

}  // namespace karreg::builder
