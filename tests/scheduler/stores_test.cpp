// The scheduler's SQL against a real PostgreSQL: what is saved is what is loaded again, reports
// change what they do in the simulated database, and what cannot be specified does not stop what
// runs.
#include "scheduler/shell/stores.hpp"

#include <thread>

#include "common/json.hpp"
#include "on_sql.hpp"
#include "scheduler/shell/vm_spec.hpp"
#include "support/services.hpp"

using namespace karreg;
using namespace karreg::scheduler;
using namespace karreg::scheduler::test_on_sql;
using namespace std::chrono_literals;

namespace {

wire::Catalogue a_catalogue() {
  wire::Catalogue catalogue;
  catalogue.kernel.digest = "kernel";
  catalogue.runtimes["node"].run.digest = "node-run";
  catalogue.runtimes["node"].build.digest = "node-build";
  return catalogue;
}

crypto::Vault a_vault(const test::ScratchFolder& scratch, const std::string& name) {
  auto vault = crypto::Vault::open_or_create((scratch.path() / name).string());
  REQUIRE(vault);
  return *vault;
}

}  // namespace

TEST_CASE("a deployment lives in the database alone, from the push to its successor's drain") {
  OnSql p;
  const std::string blue = p.serve("app_1");
  CHECK(p.database.value("SELECT serving_deployment FROM apps WHERE id = 'app_1'") == blue);
  CHECK(p.database.value("SELECT jsonb_array_length(backends) FROM routes WHERE host = "
                         "'app_1.localhost' AND NOT removed") == "2");
  const auto old = p.load().instances;
  const std::string green = p.push("app_1");
  p.settle();
  p.build_succeeds(green);
  p.agent_converges();
  REQUIRE(p.load().deployments.at(green).phase == Phase::switching);
  // One request is still in flight to an instance of blue: it is neither routed nor stopped.
  const std::string busy = old.begin()->first;
  wire::ProxyReport draining{"proxy-1", p.load().route_version, false, {{busy, 1}}, false};
  p.report(draining);
  p.settle();
  CHECK(p.load().instances.at(busy).routed == Routed::draining);
  CHECK(p.load().instances.at(busy).wanted);
  p.proxy_acknowledges();
  CHECK_FALSE(p.load().instances.at(busy).wanted);
  p.agent_converges();
  CHECK(p.load().instances.at(busy).ended_at.has_value());
  CHECK(p.database.value("SELECT state FROM deployments WHERE uuid = '" + green + "'") == "OK");
}

TEST_CASE("what is decided is told: news stands in the outbox of the same transaction") {
  OnSql p;
  p.serve("app_1");
  const auto told = [&](const std::string& key, const std::string& words) {
    return p.database.value("SELECT count(*) FROM outbox WHERE routing_key = '" + key +
                            "' AND body LIKE '%" + words + "%'") != "0";
  };
  CHECK(told("builder.wake", "build queued"));
  CHECK(told("proxy.routes", "app_1.localhost"));
  CHECK(told("api.event", "DEPLOYMENT_ACTION_BEGIN"));
  CHECK(told("api.event", "DEPLOYMENT_ACTION_END"));
  CHECK(told("logs.app_1", "Successfully deployed in"));
}

TEST_CASE("whether a host takes builds is as its agent says") {
  OnSql p;
  auto said = p.host_report();
  said.builds = false;
  p.report(said);
  CHECK_FALSE(p.load().hosts.at("host-1").builds);
  said.builds = true;
  p.report(said);
  CHECK(p.load().hosts.at("host-1").builds);
}

TEST_CASE("a build VM's result is kept as the agent reports it") {
  OnSql p;
  const std::string d = p.place_build("app_1");
  const auto built = p.load().instances.begin()->second;
  REQUIRE(built.builds());
  auto said = p.host_report();
  wire::VmStatus vm;
  vm.instance_id = built.id;
  vm.phase = "built";
  vm.last_lines = {"npm ERR! a", "b"};
  vm.stages.pid1_ms = 700;
  vm.build = {false, 0, "npm ci", "exited with 1"};
  said.vms.push_back(vm);
  p.report(said);
  CHECK(p.load().instances.at(built.id).last_lines == "npm ERR! a\nb\n");
  p.settle();
  CHECK(p.database.value("SELECT message FROM deployments WHERE uuid = '" + d + "'") ==
        "build step \"npm ci\" failed: exited with 1\nThe end of its output:\nnpm ERR! a\nb\n");
}

TEST_CASE("release commands, tasks and crons live in the database, and end as the agent reports") {
  OnSql p;
  p.database.query(
      "UPDATE artifacts SET plan = plan || '{\"release\": \"migrate\", \"cron\": [{\"schedule\": "
      "\"* * * * *\", \"command\": \"mail\", \"wall_ms\": 60000}]}'");
  p.app("app_1");
  p.report(p.host_report());
  p.report(wire::ProxyReport{"proxy-1", 0, false, {}, false});
  const std::string d = p.push("app_1");
  p.settle();
  p.build_succeeds(d);
  REQUIRE(p.load().deployments.at(d).phase == Phase::releasing);
  const auto job_that_runs = [&] {
    for (const auto& [id, i] : p.load().instances)
      if (i.kind == InstanceKind::job && i.alive()) return i;
    FAIL("no job runs");
    return Instance{};
  };
  const auto ends = [&](const Instance& i, int code) {
    auto said = p.host_report();
    for (const auto& [id, other] : p.load().instances) {
      if (!other.wanted || other.ended_at || id == i.id) continue;
      wire::VmStatus vm;
      vm.instance_id = id;
      vm.phase = other.phase;
      vm.healthy = other.healthy;
      vm.address = other.address;
      said.vms.push_back(vm);
    }
    wire::VmStatus vm;
    vm.instance_id = i.id;
    vm.phase = "exited";
    vm.exit = {code, 0, false, std::string("exi\0ted", 7)};
    said.vms.push_back(vm);
    p.report(said);
    p.settle();
  };
  const auto release = job_that_runs();
  CHECK(p.load().jobs.at(release.job_id).command == "migrate");
  ends(release, 0);
  CHECK(p.database.value("SELECT state || exit_code || message FROM jobs") == "succeeded0exited");
  p.agent_converges();
  p.proxy_acknowledges();
  REQUIRE(p.database.value("SELECT state FROM deployments WHERE uuid = '" + d + "'") == "OK");
  // Its mark is of this minute: nothing has come yet.
  CHECK(p.load().cron_marks.size() == 1);
  p.database.query(
      "UPDATE cron_marks SET mark = date_trunc('minute', now()) - interval '1 minute'");
  p.settle();
  const auto cron = job_that_runs();
  CHECK(p.database.value("SELECT due = date_trunc('minute', due) FROM jobs WHERE kind = 'cron'") ==
        "t");
  ends(cron, 7);
  CHECK(p.database.value("SELECT state || exit_code FROM jobs WHERE kind = 'cron'") == "failed7");
  CHECK(p.database.value("SELECT count(*) FROM outbox WHERE routing_key = 'api.event' AND body "
                         "LIKE '%JOB_CHANGE%'") != "0");
}

TEST_CASE("a guest that sends NUL characters is heard all the same") {
  OnSql p;
  static_cast<void>(p.place_build("app_1"));
  const std::string id = p.load().instances.begin()->first;
  auto said = p.host_report();
  wire::VmStatus vm;
  vm.instance_id = id;
  vm.phase = "built";
  vm.detail = std::string("de\0tail", 7);
  vm.last_lines = {std::string("li\0ne", 5)};
  vm.build = {false, 0, std::string("st\0ep", 5), std::string("rea\0son", 7)};
  said.vms.push_back(vm);
  p.in_transaction([&](pqxx::work& work) { static_cast<void>(save_host_report(work, said)); });
  const auto kept = p.load().instances.at(id);
  CHECK(kept.detail == "detail");
  CHECK(kept.last_lines == "line\n");
  REQUIRE(kept.result);
  CHECK(kept.result->failed_step == "step");
  CHECK(kept.result->reason == "reason");
}

TEST_CASE(
    "a report of an older generation ends nothing, and says that a newer state is to be sent") {
  OnSql p;
  p.serve("app_1");
  const std::string id = p.load().instances.begin()->first;
  p.database.query(
      "UPDATE instances SET wanted = false, routed = 'no', unwanted_at = now() WHERE "
      "id = '" +
      id + "'");
  p.database.query("UPDATE hosts SET generation_sent = 7");
  auto said = p.host_report();
  said.generation = 6;
  bool behind = false;
  p.in_transaction([&](pqxx::work& work) { behind = save_host_report(work, said); });
  CHECK(behind);
  CHECK_FALSE(p.load().instances.at(id).ended_at.has_value());
  said.generation = 7;
  p.in_transaction([&](pqxx::work& work) { behind = save_host_report(work, said); });
  CHECK_FALSE(behind);
  CHECK(p.load().instances.at(id).ended_at.has_value());
}

TEST_CASE("a host is sent its set of VMs when the set changes, and only then") {
  OnSql p;
  p.app("app_1");
  p.report(p.host_report());
  const auto to_update = [&] {
    std::vector<std::string> hosts;
    p.in_transaction([&](pqxx::work& work) {
      hosts = hosts_to_update(work);
      for (const auto& host : hosts) send_desired(work, host, {});
    });
    return hosts;
  };
  CHECK(to_update() == std::vector<std::string>{"host-1"});
  CHECK(to_update().empty());
  const std::string d = p.push("app_1");
  p.settle();
  p.build_succeeds(d);
  CHECK(to_update() == std::vector<std::string>{"host-1"});
  CHECK(to_update().empty());
  CHECK(p.database.value("SELECT count(*) FROM outbox WHERE routing_key = 'host.host-1.desired'") ==
        "2");
}

TEST_CASE("a version is healed on the image of its build for as long as that is there") {
  OnSql p;
  const test::ScratchFolder scratch;
  const auto vault = a_vault(scratch, "key");
  p.serve("app_1");
  p.database.query("UPDATE builds SET run_image = 'node-run-of-then'");
  Settings settings;
  settings.images_dir = scratch.path().string();
  const auto image = [&] {
    std::vector<wire::VmSpec> vms;
    p.in_transaction(
        [&](pqxx::work& work) { vms = specify(work, "host-1", a_catalogue(), vault, settings); });
    return vms.at(0).image_digest;
  };
  CHECK(image() == "node-run");
  test::write_file(scratch.path() / "blobs" / "node-run-of-then", "erofs");
  CHECK(image() == "node-run-of-then");
}

TEST_CASE("a lost key fails what is new and keeps what runs") {
  OnSql p;
  const test::ScratchFolder scratch;
  const auto vault = a_vault(scratch, "key");
  const auto other = a_vault(scratch, "another");
  const std::string d = p.serve("app_1");
  p.database.query("UPDATE deployments SET sealed_env = '" + vault.seal(R"({"SECRET": "42"})", d) +
                   "' WHERE uuid = '" + d + "'");
  // One that is not reported yet: its host does not have it.
  p.database.query("UPDATE instances SET phase = 'placed' WHERE number = 1");
  Settings settings;
  std::vector<wire::VmSpec> vms;
  p.in_transaction(
      [&](pqxx::work& work) { vms = specify(work, "host-1", a_catalogue(), vault, settings); });
  REQUIRE(vms.size() == 2);
  CHECK(vms[0].env.at("SECRET") == "42");
  CHECK(vms[0].image_digest == "node-run");
  p.in_transaction(
      [&](pqxx::work& work) { vms = specify(work, "host-1", a_catalogue(), other, settings); });
  REQUIRE(vms.size() == 1);
  CHECK(vms[0].instance_id == p.database.value("SELECT id FROM instances WHERE number = 0"));
  CHECK(p.database.value("SELECT phase FROM instances WHERE number = 0") == "running");
  CHECK(p.database.value("SELECT phase FROM instances WHERE number = 1") == "failed");
}

TEST_CASE("instances that ended long ago are forgotten, those of last week are not") {
  OnSql p;
  p.serve("app_1");
  p.database.query(
      "UPDATE instances SET wanted = false, routed = 'no', unwanted_at = now(), "
      "ended_at = now() - interval '6 days' WHERE number = 0");
  p.database.query(
      "UPDATE instances SET wanted = false, routed = 'no', unwanted_at = now(), "
      "ended_at = now() - interval '8 days' WHERE number = 1");
  p.in_transaction([](pqxx::work& work) { forget_old_instances(work); });
  CHECK(p.database.value("SELECT string_agg(number::text, ',') FROM instances") == "0");
}

TEST_CASE("one decides at a time, and the next one knows what the last one decided") {
  OnSql p;
  std::uint64_t seen = 0;
  std::jthread other;  // joined last, when nothing makes it wait any more
  pqxx::connection one(p.database.url());
  pqxx::work leads(one);
  begin_round(leads);
  leads.exec0("UPDATE route_version SET version = 7");

  other = std::jthread([&] {
    pqxx::connection two(p.database.url());
    pqxx::work still_believes_to_lead(two);
    begin_round(still_believes_to_lead);
    seen = load_world(still_believes_to_lead).route_version;
  });
  test::eventually("the other one waits", [&] {
    return p.database.value(
               "SELECT count(*) FROM pg_locks WHERE relation = 'decisions'::regclass "
               "AND NOT granted") == "1";
  });
  leads.commit();
  other.join();
  CHECK(seen == 7);
}

TEST_CASE("decisions go on while a back-up reads the database") {
  OnSql p;
  pqxx::connection one(p.database.url());
  pqxx::work backup(one);
  backup.exec0("LOCK TABLE decisions IN ACCESS SHARE MODE");  // as pg_dump does with all tables
  p.in_transaction([](pqxx::work& work) {
    work.exec0("SET LOCAL lock_timeout = '5s'");
    decide_alone(work);
  });
}

TEST_CASE("a proxy that was killed is forgotten in the end, one that speaks is not") {
  OnSql platform;
  platform.report(wire::ProxyReport{"proxy-1-leaving-42", 0, false, {}, false});
  platform.report(wire::ProxyReport{"proxy-1", 0, false, {}, false});
  CHECK(platform.load().proxies.size() == 2);
  platform.database.query(
      "UPDATE proxies SET last_seen = now() - interval '25 hours' WHERE id LIKE '%leaving%'");
  platform.in_transaction([](pqxx::work& work) { forget_silent_proxies(work); });
  CHECK(platform.load().proxies.size() == 1);
  CHECK(platform.load().proxies.contains("proxy-1"));
}

TEST_CASE(
    "rules of an application reach its routes as a new version, and nothing else is touched") {
  OnSql p;
  p.serve("app_1");
  p.serve("app_2");
  const auto update = [&] {
    return p.database.value(
        "SELECT body FROM outbox WHERE routing_key = 'proxy.routes' ORDER BY id DESC LIMIT 1");
  };
  const auto before = p.load().route_version;
  const std::string rules = R"({"redirects":[{"path":"/a","to":"/b","status":301}]})";
  p.database.query("UPDATE apps SET rules = '" + rules + "' WHERE id = 'app_1'");
  p.settle();
  const auto after = p.load();
  CHECK(after.route_version == before + 1);
  const auto& route = after.routes.at({"app_1.localhost", "/"});
  REQUIRE(route.rules);
  CHECK(route.rules.get()->redirects.at(0).to == "/b");
  CHECK(route.backends.size() == 2);
  CHECK_FALSE(after.routes.at({"app_2.localhost", "/"}).rules);
  const auto sent = wire::from_text<wire::RouteUpdate>(update(), "RouteUpdate");
  REQUIRE(sent);
  REQUIRE(sent->upserts.size() == 1);
  CHECK(sent->upserts.at(0) == route);

  // A proxy that asks for the whole gets them, too.
  p.report(wire::ProxyReport{"proxy-1", 0, true, {}, false});
  const auto whole = wire::from_text<wire::RouteSnapshot>(
      p.database.value("SELECT body FROM outbox WHERE routing_key LIKE 'proxy.proxy-1.%' ORDER BY "
                       "id DESC LIMIT 1"),
      "RouteSnapshot");
  REQUIRE(whole);
  REQUIRE(whole->routes.size() == 2);
  CHECK(std::ranges::count_if(whole->routes, [](const auto& r) { return bool(r.rules); }) == 1);

  p.database.query("UPDATE apps SET rules = NULL");
  p.settle();
  CHECK_FALSE(p.load().routes.at({"app_1.localhost", "/"}).rules);
}

TEST_CASE("rules that this scheduler does not know are passed on as they are, never left out") {
  OnSql p;
  p.serve("app_1");
  p.database.query("UPDATE apps SET rules = '{\"of_tomorrow\": {\"deny\": \"all\"}}'");
  p.settle();
  CHECK(p.database.value("SELECT rules FROM routes") == R"({"of_tomorrow": {"deny": "all"}})");
  CHECK_THAT(p.load().routes.begin()->second.rules.unreadable(),
             Catch::Contains("of_tomorrow is not known"));
}

TEST_CASE("ports of TCP services reach proxies with the routes, and go with them") {
  OnSql p;
  p.serve("app_1");
  const auto update = [&] {
    const auto sent = wire::from_text<wire::RouteUpdate>(
        p.database.value(
            "SELECT body FROM outbox WHERE routing_key = 'proxy.routes' ORDER BY id DESC LIMIT 1"),
        "RouteUpdate");
    REQUIRE(sent);
    return *sent;
  };
  const auto snapshot = [&] {
    p.report(wire::ProxyReport{"proxy-1", 0, true, {}, false});
    const auto whole = wire::from_text<wire::RouteSnapshot>(
        p.database.value("SELECT body FROM outbox WHERE routing_key LIKE 'proxy.proxy-1.%' ORDER "
                         "BY id DESC LIMIT 1"),
        "RouteSnapshot");
    REQUIRE(whole);
    return *whole;
  };
  p.database.query("INSERT INTO tcp_redirections (port, app_id) VALUES (4000, 'app_1')");
  p.database.query(
      "INSERT INTO tcp_redirections (port, app_id, released_at) VALUES (4001, 'app_1', now())");
  p.settle();
  const auto added = update();
  REQUIRE(added.tcp_upserts.size() == 1);
  CHECK(added.upserts.empty());
  const auto& route = added.tcp_upserts.front();
  CHECK(route.port == 4000);
  CHECK(route.app_id == "app_1");
  REQUIRE(route.backends.size() == 2);
  for (const auto& backend : route.backends) CHECK_THAT(backend.address, Catch::EndsWith(":4040"));
  CHECK(snapshot().tcp_routes == added.tcp_upserts);
  p.database.query("UPDATE tcp_redirections SET released_at = now()");
  p.settle();
  CHECK(update().tcp_removes == std::vector<std::uint16_t>{4000});
  CHECK(snapshot().tcp_routes.empty());
  // The same port comes back.
  p.database.query("UPDATE tcp_redirections SET released_at = NULL WHERE port = 4000");
  p.settle();
  CHECK(snapshot().tcp_routes == added.tcp_upserts);
}
