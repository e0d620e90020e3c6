// What a VM is told: whose value of a variable wins, and what cannot be specified.
#include "scheduler/shell/vm_spec.hpp"

#include <catch2/catch.hpp>

#include "common/wire/json.hpp"
#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::scheduler;

namespace {

struct Specified {
  test::ScratchFolder scratch;
  crypto::Vault vault = *crypto::Vault::open_or_create((scratch.path() / "key").string());
  Settings settings;
  wire::Catalogue catalogue;
  InstanceRow row;

  Specified() {
    catalogue.kernel.digest = "kernel";
    catalogue.initrd.digest = "initrd";
    catalogue.scratch_run.digest = "scratch-run";
    catalogue.scratch_build.digest = "scratch-build";
    catalogue.runtimes["node"].run.digest = "node-run";
    catalogue.runtimes["node"].build.digest = "node-build";
    row.id = "i";
    row.app_id = "app_1";
    row.app_name = "shop";
    row.deployment = "deployment_1";
    row.commit = "c0ffee";
    row.flavor = "S";
    row.artifact_digest = "artifact";
    row.runtime = "node";
    row.plan = R"({"runtime": "node", "run_command": ["node", "server.js"], "port": 8080,
                   "env": {"NODE_ENV": "production", "LEVEL": "plan"},
                   "steps": [{"name": "npm ci"}]})";
  }
  Result<wire::VmSpec> make() { return make_vm_spec(row, catalogue, vault, settings); }
  void env(const std::string& json) { row.sealed_env = vault.seal(json, row.deployment); }
};

}  // namespace

TEST_CASE("a run VM has the run image, the artifact, and the size of its flavor") {
  Specified s;
  const auto spec = s.make();
  REQUIRE(spec);
  CHECK(spec->kind == "run");
  CHECK(spec->image_digest == "node-run");
  CHECK(spec->scratch_digest == "scratch-run");
  CHECK(spec->artifact_digest == "artifact");
  CHECK(spec->memory_mb == 2048);
  CHECK(spec->run.command == std::vector<std::string>{"node", "server.js"});
}

TEST_CASE("the VM of a job has the disks of a run VM, and its command in the place of the app's") {
  Specified s;
  s.row.kind = InstanceKind::job;
  s.row.job_id = "job_1";
  s.row.job_kind = "cron";
  s.row.command = "rake mail";
  s.row.wall_ms = 5000;
  const auto spec = s.make();
  REQUIRE(spec);
  CHECK(spec->kind == "job");
  CHECK(spec->image_digest == "node-run");
  CHECK(spec->scratch_digest == "scratch-run");
  CHECK(spec->artifact_digest == "artifact");
  CHECK(spec->job.command == "rake mail");
  CHECK(spec->job.wall_ms == 5000);
  CHECK(spec->run.command.empty());
  CHECK(spec->env.at("INSTANCE_TYPE") == "task");
  CHECK(spec->env.at("JOB_ID") == "job_1");
  CHECK(spec->env.at("JOB_KIND") == "cron");
  CHECK(spec->env.at("NODE_ENV") == "production");
}

TEST_CASE("the workers of the plan run beside the app") {
  Specified s;
  s.row.plan = R"({"runtime": "node", "run_command": ["node", "server.js"],
                   "workers": [{"name": "mail", "command": "node mail.js"}]})";
  const auto spec = s.make();
  REQUIRE(spec);
  REQUIRE(spec->run.workers.size() == 1);
  CHECK(spec->run.workers[0].name == "mail");
}

TEST_CASE("a version runs on the image that it was built for, not on a newer one") {
  Specified s;
  s.row.run_image = "node-run-of-then";
  REQUIRE(s.make());
  CHECK(s.make()->image_digest == "node-run-of-then");
  SECTION("even when its runtime is no longer offered") {
    s.catalogue.runtimes.clear();
    REQUIRE(s.make());
    CHECK(s.make()->image_digest == "node-run-of-then");
  }
  SECTION("but builds on the newest") {
    s.row.kind = InstanceKind::build;
    CHECK(s.make()->image_digest == "node-build");
  }
}

TEST_CASE("a build VM has the image that the plan builds on, where that is another one") {
  Specified s;
  s.catalogue.runtimes["static"].run.digest = "static-run";
  s.catalogue.runtimes["static"].build.digest = "static-build";
  s.row.runtime = "static";
  s.row.plan = R"({"runtime": "static", "build_runtime": "node", "run_command": ["serve"]})";
  REQUIRE(s.make());
  CHECK(s.make()->image_digest == "static-run");
  s.row.kind = InstanceKind::build;
  CHECK(s.make()->image_digest == "node-build");
}

TEST_CASE("what the language runs before the start comes after the owner's hook") {
  Specified s;
  s.row.plan = R"({"runtime": "node", "run_command": ["x"], "before_start": "migrate"})";
  REQUIRE(s.make());
  CHECK(s.make()->run.pre_run == "migrate");
  s.env(R"({"CC_PRE_RUN_HOOK": "./hook"})");
  CHECK(s.make()->run.pre_run == "./hook\nmigrate");
}

TEST_CASE("a build VM has the build image, the steps, and no artifact") {
  Specified s;
  s.row.kind = InstanceKind::build;
  const auto spec = s.make();
  REQUIRE(spec);
  CHECK(spec->kind == "build");
  CHECK(spec->image_digest == "node-build");
  CHECK(spec->scratch_digest == "scratch-build");
  CHECK(spec->artifact_digest.empty());
  CHECK(spec->build.steps.size() == 1);
}

TEST_CASE("the owner's variables win over the runtime's, the platform's over all") {
  Specified s;
  s.env(R"({"LEVEL": "owner", "PORT": "1", "APP_ID": "mine"})");
  const auto spec = s.make();
  REQUIRE(spec);
  CHECK(spec->env.at("NODE_ENV") == "production");
  CHECK(spec->env.at("LEVEL") == "owner");
  CHECK(spec->env.at("PORT") == "8080");
  CHECK(spec->env.at("APP_ID") == "app_1");
  CHECK(spec->env.at("COMMIT_ID") == "c0ffee");
}

TEST_CASE("the owner's run command, hook and health path are taken from the environment") {
  Specified s;
  s.env(R"({"CC_RUN_COMMAND": "node other.js | cat", "CC_PRE_RUN_HOOK": "./migrate",
            "CC_HEALTH_CHECK_PATH": "/health"})");
  const auto spec = s.make();
  REQUIRE(spec);
  CHECK(spec->run.command == std::vector<std::string>{"/bin/sh", "-c", "node other.js | cat"});
  CHECK(spec->run.pre_run == "./migrate");
  CHECK(spec->health.path == "/health");
}

TEST_CASE("what cannot be specified says why") {
  Specified s;
  std::string why;
  SECTION("a runtime that the catalogue does not have") {
    s.row.runtime = "cobol";
    why = "the image catalogue has no runtime \"cobol\"; images/build makes it";
  }
  SECTION("a size that does not exist") {
    s.row.flavor = "gigantic";
    why = "there is no size \"gigantic\"";
  }
  const auto spec = s.make();
  REQUIRE_FALSE(spec);
  CHECK(spec.error().message() == why);
}

TEST_CASE("an environment that was sealed for another deployment does not open") {
  Specified s;
  s.row.sealed_env = s.vault.seal("{}", "deployment_2");
  CHECK_FALSE(s.make());
}
