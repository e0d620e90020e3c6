// Release commands and tasks: one VM each, once, and what becomes of them when things go wrong.
#include "a_platform.hpp"

using namespace karreg::scheduler;
using namespace karreg::scheduler::test;

namespace {

/// A push whose version has a release command, and is built. Its deployment.
std::string a_push_with_release(APlatform& p, const std::string& command = "npm run migrate") {
  const std::string d = p.push().uuid;
  p.settle();
  p.build_of(d).release = command;
  p.built(d);
  return d;
}

Job& release_of(APlatform& p, const std::string& deployment) {
  for (auto& [id, job] : p.world.jobs)
    if (job.kind == JobKind::release && job.deployment == deployment) return job;
  FAIL("deployment " << deployment << " has no release command");
  std::abort();
}

}  // namespace

TEST_CASE("a release command runs once, in a VM of its own, before any instance starts") {
  APlatform p;
  const std::string d = a_push_with_release(p);
  CHECK(p.phase(d) == Phase::releasing);
  CHECK(p.vms(d).empty());
  const Job job = release_of(p, d);
  CHECK(job.command == "npm run migrate");
  CHECK(job.state == JobState::running);
  CHECK(job.wall == p.world.policy.release_timeout);
  CHECK(p.vm_of_job(job.id).deployment == d);
  p.pass(5s);
  p.ends(p.vm_of_job(job.id), 0);
  CHECK(p.phase(d) == Phase::starting);
  CHECK(p.vms(d).size() == 1);
  CHECK(p.told("The release command `npm run migrate` succeeded in 5.0 s"));
  p.bring_up(d);
  CHECK(p.jobs(JobKind::release).size() == 1);
}

TEST_CASE("a release command that fails fails its deployment, and what served goes on serving") {
  APlatform p;
  const std::string blue = p.deploy();
  const std::string d = a_push_with_release(p);
  p.ends(p.vm_of_job(release_of(p, d).id), 3, "relation \"users\" exists\n");
  CHECK(p.state(d) == DeploymentState::fail);
  CHECK(p.message(d) ==
        "the release command did not succeed: the command exited with 3\nThe end of its output:\n"
        "relation \"users\" exists\n");
  CHECK(release_of(p, d).exit_code == 3);
  CHECK(p.vms(d).empty());
  CHECK(p.served_by() == std::set<std::string>{blue});
}

TEST_CASE("a release command that a signal ends has the status that a shell gives it") {
  APlatform p;
  const std::string d = a_push_with_release(p);
  auto& vm = p.vm_of_job(release_of(p, d).id);
  vm.phase = "exited";
  vm.reached_guest = true;
  vm.exit = karreg::wire::guest::Exit{0, 9, true, "the command was killed: out of memory"};
  p.settle();
  CHECK(release_of(p, d).exit_code == 137);
  CHECK(p.state(d) == DeploymentState::fail);
}

TEST_CASE("a command that was ended for its time has failed, whatever it ended with") {
  APlatform p;
  const std::string d = a_push_with_release(p);
  auto& vm = p.vm_of_job(release_of(p, d).id);
  vm.phase = "exited";
  vm.reached_guest = true;
  vm.exit = karreg::wire::guest::Exit{0, 0, false, "its time limit was reached", true};
  p.settle();
  CHECK(release_of(p, d).state == JobState::failed);
  CHECK(p.state(d) == DeploymentState::fail);
}

TEST_CASE("a deployment that is cancelled or superseded ends its release command") {
  APlatform p;
  const std::string d = a_push_with_release(p);
  const std::string job = release_of(p, d).id;
  p.world.deployments.at(d).cancel_requested = true;
  p.settle();
  CHECK(p.state(d) == DeploymentState::cancelled);
  CHECK(p.job(job).state == JobState::cancelled);
  CHECK(p.vms_of_job(job).empty());
}

TEST_CASE("scaling starts what has been released already") {
  APlatform p;
  const std::string d = a_push_with_release(p);
  p.ends(p.vm_of_job(release_of(p, d).id), 0);
  p.bring_up(d);
  const std::string up = p.push("app", Action::upscale, 2).uuid;
  p.settle();
  CHECK(p.phase(up) == Phase::starting);
}

TEST_CASE("a task runs in a VM of its own from the version in service") {
  APlatform p;
  const std::string d = p.deploy();
  const std::string id = p.task().id;
  p.settle();
  CHECK(p.job(id).state == JobState::running);
  auto& vm = p.vm_of_job(id);
  CHECK(vm.deployment == d);
  CHECK(p.job(id).instance == vm.id);
  CHECK(p.backends().size() == 1);  // it gets no requests
  CHECK_FALSE(p.backends().contains(vm.id));
  p.pass(2s);
  p.ends(p.vm_of_job(id), 0);
  CHECK(p.job(id).state == JobState::succeeded);
  CHECK(p.job(id).exit_code == 0);
  CHECK(p.told("Task `rake mail` succeeded in 2.0 s"));
  CHECK(p.vms_of_job(id).empty());
}

TEST_CASE("a task goes on while a new version takes over, and while its app falls asleep") {
  APlatform p;
  p.deploy();
  const std::string id = p.task().id;
  p.settle();
  const std::string vm = p.vm_of_job(id).id;
  SECTION("a new version") {
    p.deploy();
  }
  SECTION("sleep") {
    p.app().sleep_after = 10s;
    for (int i = 0; i < 60; ++i) {
      p.pass(1s);
      p.proxies_acknowledge();
    }
    CHECK(p.app().sleep == Sleep::asleep);
  }
  CHECK(p.instance(vm).alive());
  CHECK(p.job(id).state == JobState::running);
  p.ends(p.instance(vm), 1);
  CHECK(p.job(id).state == JobState::failed);
}

TEST_CASE("a job whose VM never spoke gets one more, and not two") {
  APlatform p;
  p.deploy();
  const std::string id = p.task().id;
  p.settle();
  p.vm_fails(p.vm_of_job(id));
  CHECK(p.job(id).state == JobState::running);
  CHECK(p.told("its VM did not start (QEMU ended), trying another"));
  p.vm_fails(p.vm_of_job(id));
  CHECK(p.job(id).state == JobState::failed);
  CHECK(p.job(id).message == "QEMU ended");
  CHECK_FALSE(p.job(id).exit_code.has_value());
}

TEST_CASE("a command that may have begun is never begun again") {
  APlatform p;
  p.deploy();
  const std::string id = p.task().id;
  p.settle();
  auto& vm = p.vm_of_job(id);
  SECTION("its VM breaks") {
    vm.reached_guest = true;
    p.vm_fails(vm, "the VM ended without a word");
    CHECK(p.job(id).message == "the VM ended without a word");
  }
  SECTION("its host is lost") {
    p.host("host-2", 8192);
    p.silent.insert(vm.host_id);
    for (int i = 0; i < 40; ++i) p.pass(1s);
    CHECK(p.job(id).message ==
          "its host does not answer: whether the command has ended is not known");
  }
  SECTION("its agent stops it") {
    vm.phase = "stopping";
    p.settle();
  }
  CHECK(p.job(id).state == JobState::failed);
  CHECK(p.vms_of_job(id).empty());
}

TEST_CASE("a job waits for room, and not for ever") {
  APlatform p;
  p.deploy();
  p.world.hosts.at("host-1").memory_mb = 256;
  const std::string id = p.task().id;
  p.settle();
  CHECK(p.job(id).state == JobState::queued);
  CHECK(p.job(id).message.starts_with("waiting for room: "));
  SECTION("room comes") {
    p.world.hosts.at("host-1").memory_mb = 8192;
    p.settle();
    CHECK(p.job(id).state == JobState::running);
    CHECK(p.job(id).message.empty());
  }
  SECTION("none comes") {
    for (int i = 0; i < 130; ++i) p.pass(1s);
    CHECK(p.job(id).state == JobState::failed);
    CHECK(p.job(id).message.starts_with("no room for it: "));
  }
}

TEST_CASE("a task that is cancelled, or whose app is stopped or deleted, is stopped") {
  APlatform p;
  p.deploy();
  const std::string id = p.task().id;
  p.settle();
  std::string why;
  SECTION("cancelled") {
    p.job(id).cancel_requested = true;
    why = "cancelled on request";
  }
  SECTION("stopped") {
    p.push("app", Action::undeploy);
    why = "deployment 2 stops the application";
  }
  SECTION("deleted") {
    p.app().deleted = true;
    why = "the application was deleted";
  }
  p.settle();
  CHECK(p.job(id).state == JobState::cancelled);
  CHECK(p.job(id).message == why);
  CHECK(p.vms_of_job(id).empty());
}

TEST_CASE("a task of an app that is stopped runs all the same") {
  APlatform p;
  const std::string d = p.deploy();
  p.push("app", Action::undeploy);
  p.settle();
  p.proxies_acknowledge();
  p.agents_clean_up();
  Job& job = p.task();
  job.deployment = d;
  const std::string id = job.id;
  p.settle();
  CHECK(p.job(id).state == JobState::running);
}
