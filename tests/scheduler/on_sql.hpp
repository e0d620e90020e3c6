#pragma once
/// A platform whose only memory is a real PostgreSQL, for tests of the scheduler's SQL.

#include <catch2/catch.hpp>

#include "base.hpp"
#include "common/json.hpp"
#include "common/wire/json.hpp"
#include "scheduler/core/advance.hpp"
#include "scheduler/shell/stores.hpp"
#include "support/services.hpp"

namespace karreg::scheduler::test_on_sql {

class Ids final : public IdSource {
 public:
  std::string build() override { return ids::make("build_"); }
  std::string instance() override { return ids::uuid(); }
  std::string job() override { return ids::make("job_"); }
  std::string deployment() override { return ids::make("deployment_"); }
};

/// A platform whose only memory is the database. After each step the loaded world is compared with
/// the decided one, and with what the simulation's database makes of the same reports.
class OnSql {
 public:
  test::TestDatabase database{"stores"};
  test::ScratchFolder scratch;
  crypto::Vault vault = *crypto::Vault::open_or_create((scratch.path() / "key").string());

  OnSql() {
    database.query(
        "INSERT INTO organisations (id, name) VALUES ('orga_1', 'One');"
        "INSERT INTO artifacts (digest, bytes, runtime, plan) VALUES ('digest', 4096, 'node', "
        "'{\"runtime\": \"node\", \"run_command\": [\"node\", \"server.js\"]}')");
  }

  void app(const std::string& id) {
    database.query(
        "INSERT INTO apps (id, org_id, name, zone, variant, min_flavor, max_flavor, "
        "build_flavor, separate_build) VALUES ('" +
        id + "', 'orga_1', '" + id +
        "', 'par', 'node', 'pico', 'pico', 'XS', false);"
        "INSERT INTO vhosts (host, app_id) VALUES ('" +
        id + ".localhost', '" + id + "')");
  }
  std::string push(const std::string& app, const std::string& sealed_env = "") {
    const std::string uuid = ids::make("deployment_");
    const int number = ++pushes_;
    database.query(
        "INSERT INTO deployments (uuid, app_id, number, action, cause, author, commit_id, "
        "instances, flavor, sealed_env) VALUES ('" +
        uuid + "', '" + app + "', " + std::to_string(number) +
        ", 'DEPLOY', 'Git push', 'me', '0123456789abcdef0123456789abcdef01234567', 2, 'pico', '" +
        sealed_env + "'); UPDATE apps SET next_deployment = " + std::to_string(number + 1) +
        " WHERE id = '" + app + "'");
    return uuid;
  }
  World load() {
    World world;
    in_transaction([&](pqxx::work& work) { world = load_world(work); });
    return world;
  }
  /// Rounds until nothing is left to decide; each is compared with what is loaded after it.
  void settle() {
    for (int i = 0; i < 6; ++i) {
      simulation::Base base;
      in_transaction([&](pqxx::work& work) {
        begin_round(work);
        const Time now = database_time(work);
        const World before = load_world(work);
        const auto [after, notes] = advance(before, now, ids_);
        REQUIRE_THAT(broken_invariant(after), Catch::Equals(""));
        save_world(work, before, after, now, vault);
        save_notes(work, notes, now);
        base.world = before;
        static_cast<void>(base.save(after, now));
      });
      compare(base.world, load());
    }
  }
  /// An agent says what it sees of its VMs.
  void report(wire::HostReport report) {
    simulation::Base base;
    base.world = load();
    in_transaction([&](pqxx::work& work) {
      static_cast<void>(base.saw(report, database_time(work)));
      static_cast<void>(save_host_report(work, report));
    });
    compare(base.world, load());
  }
  void report(const wire::ProxyReport& report) {
    simulation::Base base;
    base.world = load();
    in_transaction([&](pqxx::work& work) {
      static_cast<void>(base.saw(report, database_time(work)));
      save_proxy_report(work, report);
    });
    compare(base.world, load());
  }
  wire::HostReport host_report() {
    wire::HostReport report;
    report.host_id = "host-1";
    report.agent_boot = "boot";
    report.memory_mb = 8192;
    report.vcpus = 2;
    const auto sent = database.value("SELECT generation_sent FROM hosts WHERE id = 'host-1'");
    report.generation = sent.empty() ? 0 : std::stoull(sent);
    return report;
  }
  /// All that is wanted runs, and what is not wanted is gone.
  void agent_converges() {
    auto said = host_report();
    for (const auto& [id, i] : load().instances) {
      if (!i.wanted || i.ended_at) continue;
      wire::VmStatus vm;
      vm.instance_id = id;
      vm.phase = "running";
      vm.healthy = true;
      vm.address = "127.64.0." + std::to_string(i.number + 1) + ":8080";
      vm.stages.pid1_ms = 700;
      said.vms.push_back(vm);
    }
    report(said);
    settle();
  }
  void proxy_acknowledges() {
    wire::ProxyReport said;
    said.proxy_id = "proxy-1";
    said.version = load().route_version;
    report(said);
    settle();
  }
  /// What the builder writes.
  void build_succeeds(const std::string& uuid) {
    database.query(
        "UPDATE builds SET state = 'succeeded', artifact_digest = 'digest', runtime = 'node', plan "
        "= (SELECT plan FROM artifacts WHERE digest = 'digest') WHERE deployment = '" +
        uuid + "'");
    settle();
  }
  /// A new app whose first version is being built: the build VM is placed. The deployment.
  std::string place_build(const std::string& name) {
    app(name);
    report(host_report());
    std::string deployment = push(name);
    settle();
    database.query("UPDATE builds SET state = 'prepared' WHERE deployment = '" + deployment + "'");
    settle();
    return deployment;
  }
  /// A new app whose first version is in service. The deployment.
  std::string serve(const std::string& name) {
    app(name);
    report(host_report());
    report(wire::ProxyReport{"proxy-1", 0, false, {}, false});
    return bring_up(name);
  }
  std::string bring_up(const std::string& app, const std::string& sealed_env = "") {
    const std::string uuid = push(app, sealed_env);
    settle();
    build_succeeds(uuid);
    agent_converges();
    proxy_acknowledges();
    REQUIRE(database.value("SELECT state FROM deployments WHERE uuid = '" + uuid + "'") == "OK");
    return uuid;
  }
  template <class Fn>
  void in_transaction(Fn fn) {
    pqxx::connection connection(database.url());
    pqxx::work work(connection);
    fn(work);
    work.commit();
  }

 private:
  template <class Map>
  static void compare_rows(const char* what, const Map& expected, const Map& loaded) {
    for (const auto& [key, row] : expected) {
      INFO(what << ' ' << key);
      REQUIRE(loaded.contains(key));
      CHECK(loaded.at(key) == row);
    }
    CHECK(loaded.size() == expected.size());
  }
  static void compare(const World& expected, const World& loaded) {
    compare_rows("app", expected.apps, loaded.apps);
    compare_rows("deployment", expected.deployments, loaded.deployments);
    compare_rows("build", expected.builds, loaded.builds);
    compare_rows("instance", expected.instances, loaded.instances);
    compare_rows("job", expected.jobs, loaded.jobs);
    CHECK(loaded.cron_marks == expected.cron_marks);
    compare_rows("roll", expected.rolls, loaded.rolls);
    CHECK(loaded.images == expected.images);
    CHECK(loaded.image_news == expected.image_news);
    CHECK(loaded.routes == expected.routes);
    CHECK(loaded.tcp_routes == expected.tcp_routes);
    CHECK(loaded.route_version == expected.route_version);
    CHECK(loaded.hosts.size() == expected.hosts.size());
    for (const auto& [id, proxy] : expected.proxies) {
      REQUIRE(loaded.proxies.contains(id));
      CHECK(loaded.proxies.at(id).version == proxy.version);
      CHECK(loaded.proxies.at(id).draining == proxy.draining);
    }
    CHECK(loaded.proxies.size() == expected.proxies.size());
  }

  Ids ids_;
  int pushes_ = 0;
};

}  // namespace karreg::scheduler::test_on_sql
