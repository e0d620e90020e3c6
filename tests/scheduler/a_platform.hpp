#pragma once
// A small platform in memory: the test says what agents, proxies and the builder report, and lets
// time pass; advance() decides. After every round the invariants are checked.

#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <vector>

#include "scheduler/core/advance.hpp"

namespace karreg::scheduler::test {

using namespace std::chrono_literals;

/// Ids that tell their order: "build_1", "vm_2", ...
class CountedIds final : public IdSource {
 public:
  std::string build() override { return "build_" + std::to_string(++builds_); }
  std::string instance() override {
    const std::string number = std::to_string(++instances_);
    return "vm_" + std::string(4 - std::min<std::size_t>(4, number.size()), '0') + number;
  }
  std::string job() override { return "job_" + std::to_string(++jobs_); }
  std::string deployment() override { return "rolled_" + std::to_string(++deployments_); }

 private:
  int builds_ = 0;
  int instances_ = 0;
  int jobs_ = 0;
  int deployments_ = 0;
};

class APlatform {
 public:
  World world;
  Time now{std::chrono::hours(24)};
  std::vector<Note> notes;
  std::set<std::string> silent;  ///< hosts and proxies that do not report
  std::set<std::string> mute;    ///< proxies that report, but not what they are asked

  /// One host with 8 GiB and one proxy.
  APlatform() {
    host("host-1", 8192);
    proxy("proxy-1");
  }

  void host(const std::string& id, std::int64_t memory_mb) {
    world.hosts[id] = {id, memory_mb, now};
  }
  void proxy(const std::string& id) {
    world.proxies[id] = {id, world.route_version, {}, now, now, now};
  }

  App& app(const std::string& id = "app") {
    auto [it, made] = world.apps.try_emplace(id);
    if (made) {
      it->second.id = id;
      it->second.vhosts = {{id + ".localhost", "/"}};
    }
    return it->second;
  }

  /// A deployment that waits; its commit is "commit-<number>".
  Deployment& push(const std::string& app_id = "app", Action action = Action::deploy,
                   int instances = 1) {
    const int number = app(app_id).next_deployment++;
    Deployment d;
    d.uuid = app_id + "-" + std::to_string(number);
    d.app_id = app_id;
    d.number = number;
    d.action = action;
    d.commit = "commit-" + std::to_string(number);
    d.instances = instances;
    d.flavor = "pico";
    d.requested_at = now;
    d.phase_since = now;
    return world.deployments[d.uuid] = d;
  }

  /// One round.
  void round() {
    auto result = advance(world, now, ids_);
    world = std::move(result.world);
    notes.insert(notes.end(), result.notes.begin(), result.notes.end());
    CHECK_THAT(broken_invariant(world), Catch::Equals(""));
  }
  /// Rounds at the same time, until nothing is left to decide.
  void settle() {
    for (int i = 0; i < 6; ++i) round();
  }
  /// Lets time pass in which everybody who is not silent reports.
  void pass(milliseconds time) {
    now += time;
    for (auto& [id, h] : world.hosts)
      if (!silent.contains(id)) h.last_seen = now;
    for (auto& [id, p] : world.proxies) {
      if (silent.contains(id)) continue;
      p.last_seen = now;
      if (!mute.contains(id)) p.covered_until = now;
    }
    settle();
  }

  Build& build_of(const std::string& uuid) {
    return world.builds.at(world.deployments.at(uuid).build_id);
  }
  /// The builder has made the disks.
  void prepared(const std::string& uuid) {
    build_of(uuid).state = BuildState::prepared;
    settle();
  }
  /// The builder has kept the artifact.
  void built(const std::string& uuid) {
    auto& build = build_of(uuid);
    build.state = BuildState::succeeded;
    build.artifact_digest = "artifact-of-" + build.commit;
    settle();
  }

  /// VMs of a deployment that are to run, by slot.
  std::vector<Instance*> vms(const std::string& uuid, bool of_build = false) {
    std::vector<Instance*> found;
    for (auto& [id, i] : world.instances)
      if (i.deployment == uuid && (of_build ? i.builds() : i.runs()) && i.alive())
        found.push_back(&i);
    return found;
  }
  Instance& vm(const std::string& uuid, int number = 0) {
    for (auto* i : vms(uuid))
      if (i->number == number && !i->unwanted_at) return *i;
    FAIL("deployment " << uuid << " has no instance " << number);
    std::abort();
  }
  Instance& build_vm(const std::string& uuid) {
    const auto found = vms(uuid, true);
    REQUIRE(found.size() == 1);
    return *found.front();
  }
  Instance& instance(const std::string& id) { return world.instances.at(id); }

  void healthy(Instance& i) {
    i.phase = "running";
    i.reached_guest = true;
    i.healthy = true;
    if (!i.healthy_at) i.healthy_at = now;
    i.address = "10.0.0." + i.id.substr(3) + ":8080";
    settle();
  }
  void all_healthy(const std::string& uuid) {
    std::vector<std::string> ids;
    for (auto* i : vms(uuid)) ids.push_back(i->id);
    for (const auto& id : ids) healthy(instance(id));
  }
  /// It fails its checks.
  void sick(Instance& i, const std::string& detail = "GET / answered 500") {
    i.healthy = false;
    i.detail = detail;
    settle();
  }
  /// The app ended by itself.
  void exits(Instance& i, const std::string& detail = "the app exited with code 1") {
    i.phase = "exited";
    i.reached_guest = true;
    i.healthy = false;
    i.detail = detail;
    settle();
  }
  /// The VM did not come up; the guest never spoke.
  void vm_fails(Instance& i, const std::string& detail = "QEMU ended") {
    i.phase = "failed";
    i.healthy = false;
    i.detail = detail;
    settle();
  }
  /// Agents have got rid of all VMs that are not wanted.
  void agents_clean_up() {
    for (auto& [id, i] : world.instances)
      if (!i.wanted && !i.ended_at) i.ended_at = now;
    settle();
  }
  /// Proxies have the newest table, and these instances still have requests in flight.
  void proxies_acknowledge(const std::map<std::string, int>& in_flight = {}) {
    for (auto& [id, p] : world.proxies) {
      p.version = world.route_version;
      p.draining = in_flight;
    }
    settle();
  }

  /// Somebody asks for a command to run, from the version in service.
  Job& task(const std::string& command = "rake mail", const std::string& app_id = "app") {
    Job job;
    job.id = "task_" + std::to_string(++tasks_);
    job.app_id = app_id;
    job.deployment = app(app_id).serving_deployment;
    job.command = command;
    job.flavor = "pico";
    job.requested_at = now;
    return world.jobs[job.id] = job;
  }
  Job& job(const std::string& id) { return world.jobs.at(id); }
  /// The jobs of a kind, the oldest first.
  std::vector<Job*> jobs(JobKind kind) {
    std::vector<Job*> found;
    for (auto& [id, each] : world.jobs)
      if (each.kind == kind) found.push_back(&each);
    std::ranges::sort(found, {}, [](const Job* each) {
      return std::tuple(each->requested_at, each->id.size(), each->id);
    });
    return found;
  }
  /// VMs of a job that are to run.
  std::vector<Instance*> vms_of_job(const std::string& id) {
    std::vector<Instance*> found;
    for (auto& [key, i] : world.instances)
      if (i.job_id == id && i.alive()) found.push_back(&i);
    return found;
  }
  Instance& vm_of_job(const std::string& id) {
    const auto found = vms_of_job(id);
    REQUIRE(found.size() == 1);
    return *found.front();
  }
  /// The command of a job's VM ended.
  void ends(Instance& i, int exit_code, const std::string& last_lines = "") {
    i.phase = "exited";
    i.reached_guest = true;
    i.last_lines = last_lines;
    i.exit = wire::guest::Exit{exit_code, 0, false,
                               "the command exited with " + std::to_string(exit_code)};
    i.detail = i.exit->reason;
    settle();
  }

  /// From the waiting push to the end of its deployment.
  void bring_up(const std::string& uuid) {
    settle();
    if (state(uuid) == DeploymentState::wip && phase(uuid) == Phase::building) built(uuid);
    all_healthy(uuid);
    proxies_acknowledge();
    REQUIRE(state(uuid) == DeploymentState::ok);
    agents_clean_up();
  }
  /// Pushes and brings into service; gives the deployment's uuid.
  std::string deploy(const std::string& app_id = "app", int instances = 1) {
    const std::string uuid = push(app_id, Action::deploy, instances).uuid;
    bring_up(uuid);
    return uuid;
  }

  DeploymentState state(const std::string& uuid) const { return world.deployments.at(uuid).state; }
  Phase phase(const std::string& uuid) const { return world.deployments.at(uuid).phase; }
  std::string message(const std::string& uuid) const { return world.deployments.at(uuid).message; }
  /// Deployments whose instances get the app's requests.
  std::set<std::string> served_by(const std::string& app_id = "app") const {
    std::set<std::string> uuids;
    for (const auto& id : backends(app_id)) uuids.insert(world.instances.at(id).deployment);
    return uuids;
  }
  std::set<std::string> backends(const std::string& app_id = "app") const {
    std::set<std::string> found;
    for (const auto& [key, route] : world.routes)
      if (route.app_id == app_id)
        for (const auto& backend : route.backends) found.insert(backend.instance_id);
    return found;
  }
  /// Whether the owner was told a line that contains @p text.
  bool told(const std::string& text) const {
    for (const auto& note : notes)
      if (note.text.find(text) != std::string::npos) return true;
    return false;
  }

 private:
  CountedIds ids_;
  int tasks_ = 0;
};

}  // namespace karreg::scheduler::test
