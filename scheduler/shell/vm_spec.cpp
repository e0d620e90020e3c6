#include "scheduler/shell/vm_spec.hpp"

#include <filesystem>

#include "common/flavors.hpp"
#include "common/log.hpp"
#include "common/wire/json.hpp"
#include "common/wire/plan.hpp"
#include "scheduler/shell/names.hpp"

namespace karreg::scheduler {

namespace {
using Env = std::map<std::string, std::string>;

const char* instance_type(InstanceKind kind) {
  switch (kind) {
    case InstanceKind::build:
      return "build";
    case InstanceKind::job:
      return "task";
    case InstanceKind::run:
      break;
  }
  return "production";
}

/// What every app can rely on (names as existing platforms of the kind have them).
Env platform_environment(const InstanceRow& row, int port) {
  Env env{{"APP_ID", row.app_id},
          {"CC_APP_NAME", row.app_name},
          {"APP_HOME", "/app"},
          {"INSTANCE_ID", row.id},
          {"INSTANCE_NUMBER", std::to_string(row.number)},
          {"INSTANCE_TYPE", instance_type(row.kind)},
          {"CC_DEPLOYMENT_ID", row.deployment},
          {"COMMIT_ID", row.commit},
          {"CC_COMMIT_ID", row.commit},
          {"PORT", std::to_string(port)}};
  if (row.kind == InstanceKind::job) {
    env["JOB_ID"] = row.job_id;
    env["JOB_KIND"] = row.job_kind;
  }
  return env;
}

std::string take(const Env& env, const std::string& name) {
  const auto it = env.find(name);
  return it == env.end() ? std::string() : it->second;
}
/// A version runs on the image that it was built or rolled for, also when the catalogue has a newer
/// one by the time it is healed or scaled: libraries and interpreters are those that it was linked
/// with.
Result<std::string> image_of(const InstanceRow& row, const wire::BuildPlan& plan,
                             const wire::Catalogue& catalogue) {
  const bool builds = row.kind == InstanceKind::build;
  if (!builds && !row.run_image.empty()) return row.run_image;
  const std::string& name =
      builds && !plan.build_runtime.empty() ? plan.build_runtime : row.runtime;
  const auto runtime = catalogue.runtimes.find(name);
  if (runtime == catalogue.runtimes.end())
    return Error(ErrorKind::not_found,
                 "the image catalogue has no runtime \"" + name + "\"; images/build makes it");
  return builds ? runtime->second.build.digest : runtime->second.run.digest;
}
}  // namespace

Result<wire::VmSpec> make_vm_spec(const InstanceRow& row, const wire::Catalogue& catalogue,
                                  const crypto::Vault& vault, const Settings& settings) {
  auto plan = wire::from_text<wire::BuildPlan>(row.plan, "the build plan");
  if (!plan) return plan.error();
  auto image = image_of(row, *plan, catalogue);
  if (!image) return image.error();
  Env own;
  if (!row.sealed_env.empty()) {
    auto opened = vault.open(row.sealed_env, row.deployment);
    if (!opened) return opened.error();
    auto parsed = wire::from_text<Env>(*opened, "the environment of the deployment");
    if (!parsed) return parsed.error();
    own = std::move(*parsed);
  }
  const bool builds = row.kind == InstanceKind::build;
  wire::VmSpec spec;
  spec.instance_id = row.id;
  spec.kind = name_of(row.kind);
  spec.app_id = row.app_id;
  spec.deployment_id = row.deployment;
  spec.build_id = row.build_id;
  spec.number = row.number;
  spec.kernel_digest = catalogue.kernel.digest;
  spec.initrd_digest = catalogue.initrd.digest;
  spec.image_digest = *image;
  spec.scratch_digest = builds ? catalogue.scratch_build.digest : catalogue.scratch_run.digest;
  spec.artifact_digest = builds ? std::string() : row.artifact_digest;
  const auto flavor = find_flavor(row.flavor);
  if (!flavor) return Error(ErrorKind::invalid, "there is no size \"" + row.flavor + "\"");
  spec.memory_mb = flavor->memory_mb;
  spec.vcpus = flavor->vcpus;
  spec.env = plan->env;
  for (auto& [name, value] : own) spec.env[name] = value;
  // What the platform says is true: an app that listens on another port is reached by nobody.
  for (auto& [name, value] : platform_environment(row, plan->port)) spec.env[name] = value;
  spec.start_timeout_ms = settings.start_timeout.count();
  if (row.kind == InstanceKind::job) {
    spec.job.command = row.command;
    spec.job.wall_ms = row.wall_ms;
    return spec;
  }
  if (builds) {
    spec.build.steps = plan->steps;
    spec.build.output_root = plan->output_root;
    if (plan->wall_ms > 0) spec.build.wall_ms = plan->wall_ms;
    return spec;
  }
  spec.run.port = plan->port;
  spec.run.command = plan->run_command;
  spec.run.pre_run = plan->pre_run;
  spec.run.workers = plan->workers;
  if (const std::string command = take(own, "CC_RUN_COMMAND"); !command.empty())
    spec.run.command = {"/bin/sh", "-c", command};
  if (const std::string hook = take(own, "CC_PRE_RUN_HOOK"); !hook.empty()) spec.run.pre_run = hook;
  if (!plan->before_start.empty())
    spec.run.pre_run += (spec.run.pre_run.empty() ? "" : "\n") + plan->before_start;
  spec.health.path = take(own, "CC_HEALTH_CHECK_PATH");
  return spec;
}

std::vector<wire::VmSpec> specify(pqxx::work& work, const std::string& host_id,
                                  const wire::Catalogue& catalogue, const crypto::Vault& vault,
                                  const Settings& settings) {
  std::vector<wire::VmSpec> vms;
  for (auto& row : wanted_instances(work, host_id)) {
    if (row.kind != InstanceKind::build && !row.run_image.empty() &&
        !std::filesystem::exists(settings.images_dir + "/blobs/" + row.run_image)) {
      log::warn("the image of this version is gone, trying the present one",
                {log::field("instance", row.id), log::field("image", row.run_image)});
      row.run_image.clear();
    }
    auto spec = make_vm_spec(row, catalogue, vault, settings);
    if (spec) {
      vms.push_back(std::move(*spec));
      continue;
    }
    log::error("instance cannot be specified",
               {log::field("instance", row.id), log::field("why", spec.error().message())});
    if (row.reported)
      vms.emplace_back().instance_id = row.id;
    else
      fail_instance(work, row.id, spec.error().message());
  }
  return vms;
}

}  // namespace karreg::scheduler
