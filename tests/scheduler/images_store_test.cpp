// Images, the news of them and rolls, in a real PostgreSQL.
#include "common/wire/news.hpp"
#include "on_sql.hpp"
#include "scheduler/shell/stores.hpp"

using namespace karreg;
using namespace karreg::scheduler;
using namespace karreg::scheduler::test_on_sql;

namespace {

class WithImages : public OnSql {
 public:
  std::map<std::string, std::string> manifests;  ///< of the store, by digest

  /// The catalogue names @p digest, of which @p packages are, as the image of node.
  void publish(const std::string& digest, const std::string& node = "20.19.2",
               const std::string& packages = "openssl 3.5.1\n") {
    catalogue_.runtimes["node"].run = {digest, 1, "node run, Debian trixie"};
    catalogue_.runtimes["node"].versions = {{"node", node}};
    manifests[digest] = packages;
    look();
  }
  void drop() {
    catalogue_.runtimes.clear();
    look();
  }
  /// What a round does first.
  void look() {
    in_transaction([&](pqxx::work& work) {
      remember_images(work, catalogue_,
                      [&](const std::string& digest) -> std::optional<std::string> {
                        const auto found = manifests.find(digest);
                        if (found == manifests.end()) return std::nullopt;
                        return found->second;
                      });
    });
  }
  /// A new app in service on @p image. The deployment.
  std::string serve_on(const std::string& app_id, const std::string& image,
                       const std::string& sealed_env = "") {
    app(app_id);
    report(host_report());
    report(wire::ProxyReport{"proxy-1", load().route_version, false, {}, false});
    const std::string uuid = push(app_id, sealed_env);
    settle();
    database.query("UPDATE builds SET run_image = '" + image + "' WHERE deployment = '" + uuid +
                   "'");
    build_succeeds(uuid);
    agent_converges();
    proxy_acknowledges();
    REQUIRE(database.value("SELECT run_image FROM deployments WHERE uuid = '" + uuid + "'") ==
            image);
    return uuid;
  }
  /// A roll of these apps, one a wave, as the API makes it.
  void roll(const std::vector<std::string>& apps) {
    database.query(
        "INSERT INTO rolls (id, org_id, author, wave_size) VALUES ('roll_1', 'orga_1', 'Ann', 1)");
    for (std::size_t i = 0; i < apps.size(); ++i) {
      const std::string place = std::to_string(i);
      database.query(
          "INSERT INTO roll_apps (roll_id, app_id, name, wave, position) VALUES "
          "('roll_1', '" +
          apps[i] + "', '" + apps[i] + "', " + place + ", " + place + ")");
    }
  }
  std::string step(const std::string& app_id) {
    return database.value("SELECT step FROM roll_apps WHERE app_id = '" + app_id + "'");
  }
  std::string made_for(const std::string& app_id) {
    return database.value("SELECT coalesce(deployment, '') FROM roll_apps WHERE app_id = '" +
                          app_id + "'");
  }

 private:
  wire::Catalogue catalogue_;
};

}  // namespace

TEST_CASE("images are remembered with their packages, and which of them the catalogue names") {
  WithImages p;
  p.publish("one");
  p.look();
  CHECK(p.database.value("SELECT count(*) FROM images") == "1");
  CHECK(p.database.value("SELECT packages->>'openssl' FROM images") == "3.5.1");
  CHECK(p.database.value("SELECT versions->>'node' FROM images") == "20.19.2");
  CHECK(p.database.value("SELECT version FROM images") == "node run, Debian trixie");
  p.publish("two", "20.19.5", "openssl 3.5.2\n");
  CHECK(p.database.value("SELECT digest FROM images WHERE current") == "two");
  CHECK(p.database.value("SELECT packages->>'openssl' FROM images WHERE digest = 'one'") ==
        "3.5.1");
  // Back again, when its manifest is gone: what is known of it stays known.
  p.publish("one");
  p.manifests.clear();
  p.publish("two");
  p.manifests.clear();
  p.look();
  CHECK(p.database.value("SELECT count(*) FROM images WHERE packages IS NOT NULL") == "2");
  p.drop();
  CHECK(p.database.value("SELECT count(*) FROM images WHERE current") == "0");
  p.in_transaction([](pqxx::work& work) { forget_old_images(work); });
  CHECK(p.database.value("SELECT count(*) FROM images") == "0");
}

TEST_CASE("of an image that apps ran on before images were noted, the packages are known") {
  WithImages p;
  p.serve_on("app_1", "ancient");
  p.manifests["ancient"] = "openssl 3.0.0\n";
  p.publish("one");
  CHECK(p.database.value("SELECT packages->>'openssl' FROM images WHERE digest = 'ancient'") ==
        "3.0.0");
  CHECK(p.database.value("SELECT versions IS NULL AND NOT current FROM images WHERE digest = "
                         "'ancient'") == "t");
  p.in_transaction([](pqxx::work& work) { forget_old_images(work); });
  CHECK(p.database.value("SELECT count(*) FROM images") == "2");
}

TEST_CASE("an app on an older image is told of once, whoever dies in between") {
  WithImages p;
  p.publish("one");
  p.serve_on("app_1", "one");
  p.publish("two");
  const auto told = [&] {
    return p.database.value(
        "SELECT count(*) FROM outbox WHERE routing_key = 'api.event' AND body LIKE "
        "'%IMAGE_OUTDATED%'");
  };
  // A round that is not committed has told nothing.
  {
    pqxx::connection connection(p.database.url());
    pqxx::work work(connection);
    begin_round(work);
    const World before = p.load();
    Ids ids;
    const Time now = database_time(work);
    const auto after = advance(before, now, ids);
    CHECK(after.world.image_news.size() == 1);
    save_world(work, before, after.world, now, p.vault);
  }
  CHECK(told() == "0");
  p.settle();
  CHECK(told() == "1");
  p.settle();
  CHECK(told() == "1");
  CHECK(p.database.value("SELECT app_id || image || old_image FROM image_news") == "app_1twoone");
  const auto event = wire::from_text<wire::PlatformEvent>(
      p.database.value("SELECT body FROM outbox WHERE body LIKE '%IMAGE_OUTDATED%'"), "event");
  REQUIRE(event);
  CHECK(event->app_id == "app_1");
  CHECK(event->runtime == "node");
  CHECK(event->image == "two");
  CHECK(event->old_image == "one");
}

TEST_CASE("a roll lives in the database alone: deployments, waves, and its end") {
  WithImages p;
  p.publish("one");
  const std::string first = p.serve_on("app_1", "one");
  const std::string second = p.serve_on("app_2", "one");
  p.database.query("UPDATE deployments SET sealed_env = '" +
                   p.vault.seal(R"({"SECRET":"42"})", first) + "' WHERE uuid = '" + first + "'");
  p.publish("two");
  p.roll({"app_1", "app_2"});
  p.settle();
  CHECK(p.step("app_1") == "deploying");
  CHECK(p.step("app_2") == "waiting");
  const std::string made = p.made_for("app_1");
  const auto row = p.database.query(
      "SELECT number, cause, author, run_image, artifact_digest, sealed_env, build_id, instances, "
      "phase FROM deployments WHERE uuid = '" +
      made + "'")[0];
  CHECK(row[0].as<int>() == 2);
  CHECK(row[1].as<std::string>() == "New image");
  CHECK(row[2].as<std::string>() == "Ann");
  CHECK(row[3].as<std::string>() == "two");
  CHECK(row[4].as<std::string>() == "digest");
  CHECK(p.vault.open(row[5].as<std::string>(), made).value() == R"({"SECRET":"42"})");
  CHECK(row[6].as<std::string>() ==
        p.database.value("SELECT build_id FROM deployments WHERE uuid = '" + first + "'"));
  CHECK(row[7].as<int>() == 2);
  CHECK(row[8].as<std::string>() == "starting");
  CHECK(p.database.value("SELECT next_deployment FROM apps WHERE id = 'app_1'") == "3");
  CHECK(p.database.value("SELECT count(*) FROM builds") == "2");
  CHECK(p.database.value("SELECT count(*) FROM outbox WHERE body LIKE '%DEPLOYMENT_ACTION_BEGIN%' "
                         "AND body LIKE '%" +
                         made + "%'") == "1");
  std::vector<InstanceRow> wanted;
  p.in_transaction([&](pqxx::work& work) { wanted = wanted_instances(work, "host-1"); });
  for (const auto& instance : wanted) {
    INFO(instance.deployment);
    CHECK(instance.run_image == (instance.deployment == made ? "two" : "one"));
  }
  p.agent_converges();
  p.proxy_acknowledges();
  CHECK(p.step("app_1") == "done");
  CHECK(p.step("app_2") == "deploying");
  CHECK(p.database.value("SELECT serving_deployment FROM apps WHERE id = 'app_1'") == made);
  // The new instances of the second end as soon as they start.
  auto said = p.host_report();
  for (const auto& [id, i] : p.load().instances) {
    if (!i.wanted || i.ended_at) continue;
    wire::VmStatus vm;
    vm.instance_id = id;
    const bool fails = i.deployment == p.made_for("app_2");
    vm.phase = fails ? "exited" : "running";
    vm.detail = fails ? "the app exited with code 1" : "";
    vm.healthy = !fails;
    vm.address = i.address.empty() ? "127.64.0.9:8080" : i.address;
    vm.stages.pid1_ms = 700;
    said.vms.push_back(vm);
  }
  p.report(said);
  p.settle();
  CHECK(p.step("app_2") == "failed");
  CHECK(p.database.value("SELECT state || ': ' || message FROM rolls") ==
        "stopped: instance 0 did not start: the app exited with code 1");
  CHECK(p.database.value("SELECT ended_at IS NOT NULL FROM rolls") == "t");
  CHECK(p.database.value("SELECT serving_deployment FROM apps WHERE id = 'app_2'") == second);
  p.database.query("UPDATE rolls SET ended_at = now() - interval '31 days'");
  p.in_transaction([](pqxx::work& work) { forget_old_rolls(work); });
  CHECK(p.database.value("SELECT count(*) FROM roll_apps") == "0");
}

TEST_CASE("a push at the same moment as a roll's deployment keeps its number") {
  WithImages p;
  p.publish("one");
  p.serve_on("app_1", "one");
  p.publish("two");
  p.settle();
  p.roll({"app_1"});
  {
    pqxx::connection connection(p.database.url());
    pqxx::work work(connection);
    begin_round(work);
    const Time now = database_time(work);
    const World before = load_world(work);
    Ids ids;
    const auto after = advance(before, now, ids);
    REQUIRE(after.world.rolls.at("roll_1").apps.at(0).step == RollStep::deploying);
    p.push("app_1");
    CHECK_THROWS_AS(save_world(work, before, after.world, now, p.vault),
                    pqxx::serialization_failure);
  }
  p.settle();
  CHECK(p.step("app_1") == "waiting");
  CHECK(p.database.value("SELECT message FROM roll_apps") == "waits for the end of deployment 2");
}
