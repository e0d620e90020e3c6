// karreg as a process against a real karreg-api with database, broker and git; the test plays the
// scheduler: it ends deployments and writes their log.
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>

#include "common/broker/publisher.hpp"
#include "common/broker/topology.hpp"
#include "common/wire/json.hpp"
#include "common/wire/logs.hpp"
#include "support/services.hpp"

using namespace karreg;
using namespace karreg::test;
using Json = nlohmann::json;

namespace {

int free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE(fd >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0);
  REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  close(fd);
  return ntohs(address.sin_port);
}

/// Ends every open deployment as the test wishes, after one line in the app's log.
class PlayedScheduler {
 public:
  PlayedScheduler(const std::string& url, broker::Address broker)
      : connection_(url), publisher_(std::move(broker)), thread_([this] { run(); }) {}
  ~PlayedScheduler() {
    stopping_ = true;
    stop_.notify_all();
    thread_.join();
  }
  /// OK, FAIL, or WIP to leave them open.
  void verdict(const std::string& state) {
    const std::lock_guard lock(mutex_);
    verdict_ = state;
  }

 private:
  void run() {
    for (;;) {
      round();
      std::unique_lock lock(mutex_);
      if (stop_.wait_for(lock, std::chrono::milliseconds(100), [this] { return stopping_.load(); }))
        return;
    }
  }
  void round() {
    std::string verdict;
    {
      const std::lock_guard lock(mutex_);
      verdict = verdict_;
    }
    if (verdict == "WIP") return;
    pqxx::work work(connection_);
    for (const auto& row :
         work.exec("SELECT uuid, app_id, coalesce(commit_id, ''), action FROM deployments WHERE "
                   "state = 'WIP' "
                   "AND requested_at < now() - interval '600 milliseconds' FOR UPDATE")) {
      const auto uuid = row[0].as<std::string>();
      const auto app = row[1].as<std::string>();
      wire::LogBatch batch;
      batch.app_id = app;
      batch.deployment_id = uuid;
      batch.service = "karreg";
      batch.lines.push_back({std::chrono::system_clock::now().time_since_epoch().count(), "karreg",
                             "the played build says hello"});
      static_cast<void>(
          publisher_.publish_to_stream(broker::log_stream(app), wire::to_text(batch)));
      const bool up = verdict == "OK" && row[3].as<std::string>() != "UNDEPLOY";
      if (verdict == "OK")
        work.exec_params0(
            "UPDATE apps SET commit_id = CASE WHEN $2 THEN $3 ELSE commit_id END, "
            "serving_deployment = CASE WHEN $2 THEN $4 END, state = CASE WHEN $2 THEN "
            "'SHOULD_BE_UP' "
            "ELSE 'SHOULD_BE_DOWN' END WHERE id = $1",
            app, up, row[2].as<std::string>(), uuid);
      work.exec_params0(
          "UPDATE deployments SET state = $2, phase = 'ended', ended_at = now(), message = CASE $2 "
          "WHEN "
          "'FAIL' THEN 'the played build failed' ELSE '' END WHERE uuid = $1",
          uuid, verdict);
    }
    work.commit();
  }

  pqxx::connection connection_;
  broker::Publisher publisher_;
  std::mutex mutex_;
  std::condition_variable stop_;
  std::string verdict_ = "OK";
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

struct Ended {
  int code = 0;
  std::string out;
  std::string err;
  Json json() const {
    INFO(out << err);
    return Json::parse(out);
  }
};

class CliPlatform {
 public:
  CliPlatform()
      : database_("cli"),
        api_(KARREG_API_PROGRAM, scratch_ / "api.log"),
        host_("http://127.0.0.1:" + std::to_string(free_port())) {
    Environment settings = broker_settings(test_broker());
    settings["PATH"] = std::getenv("PATH");
    settings["KARREG_DATABASE_URL"] = database_.url();
    settings["KARREG_DATA_DIR"] = (scratch_ / "data").string();
    settings["KARREG_SECRETS_KEY_FILE"] = (scratch_ / "secret.key").string();
    settings["KARREG_API_LISTEN"] = host_.substr(7);
    settings["KARREG_API_PUBLIC_URL"] = host_;
    settings["KARREG_API_APPS_PORT"] = "8080";
    std::filesystem::create_directories(scratch_ / "data/run");
    std::filesystem::create_directories(work());
    std::string exports;
    for (const auto& [name, value] : settings) exports += name + "='" + value + "' ";
    user_ =
        Json::parse(must_run("env -i " + exports + KARREG_API_PROGRAM +
                             " admin create-user --email ann@example.org --name Ann 2>/dev/null"));
    api_.start(settings);
    api_.await_log("API is up");
    scheduler_ = std::make_unique<PlayedScheduler>(database_.url(), test_broker());
  }

  const Json& user() const { return user_; }
  const std::string& host() const { return host_; }
  PlayedScheduler& scheduler() { return *scheduler_; }
  TestDatabase& database() { return database_; }
  std::filesystem::path work() const { return scratch_ / "work"; }
  const ScratchFolder& scratch() const { return scratch_; }

  /// Runs `karreg @p words` in the work tree. @p before: words before the program, such as
  /// variables.
  Ended karreg(const std::string& words, const std::string& before = "") {
    const std::string out = (scratch_ / "out").string();
    const std::string err = (scratch_ / "err").string();
    const Ran ran =
        run("cd " + work().string() + " && env -i PATH=\"$PATH\" HOME=" + scratch_.path().string() +
            " " + before + " timeout 60 " + KARREG_CLI_PROGRAM + " " + words + " >" + out + " 2>" +
            err);
    return {ran.exit_code, read_file(out), read_file(err)};
  }
  /// As karreg(), and the test fails when it does.
  Ended good(const std::string& words) {
    Ended ended = karreg(words);
    INFO("karreg " << words << "\n" << ended.out << ended.err);
    REQUIRE(ended.code == 0);
    return ended;
  }
  void login() {
    good("login --api-host " + host_ + " --token " + user_["api_token"].get<std::string>());
  }
  void commit(const std::string& text) {
    write_file(work() / "index.html", text);
    must_run("cd " + work().string() +
             " && git init -q 2>/dev/null; git add index.html && git -c user.name=A -c "
             "user.email=a@example.org -c commit.gpgsign=false commit -q -m x");
  }

 private:
  ScratchFolder scratch_;
  TestDatabase database_;
  Daemon api_;
  std::string host_;
  Json user_;
  std::unique_ptr<PlayedScheduler> scheduler_;
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("one logs in with a token pair and its consumer, or with an API token, and out again") {
  CliPlatform platform;
  const auto field = [&](const char* name) { return platform.user()[name].get<std::string>(); };
  const Ended pair =
      platform.good("login --format json --api-host " + platform.host() + "/ --token " +
                    field("token") + " --secret " + field("secret") + " --consumer-key " +
                    field("consumer_key") + " --consumer-secret " + field("consumer_secret"));
  CHECK(pair.json()["email"] == "ann@example.org");
  CHECK(platform.good("doctor").out.find("BAD") == std::string::npos);
  CHECK(platform.good("logout").err == "Logged out.\n");
  CHECK(platform.karreg("list").code == 3);
  platform.login();
  CHECK(platform.good("list").err == "You have no apps. Create one: karreg create NAME\n");

  const Ended wrong =
      platform.karreg("list", "KARREG_TOKEN=wrong KARREG_API_HOST=" + platform.host());
  CHECK(wrong.code == 3);
  CHECK(wrong.err.starts_with(
      "karreg: You are not logged in, or the token is no longer good: run `karreg login`. ("));
}

TEST_CASE("an app is made, linked, configured, scaled and deleted") {
  CliPlatform platform;
  platform.login();
  const Ended unknown_type = platform.karreg("create --type nod shop");
  CHECK(unknown_type.code == 2);
  CHECK(has(unknown_type.err, "The platform has no type `nod`."));
  CHECK(has(unknown_type.err, "Did you mean `node`?"));

  const Json app = platform.good("create --type static shop --format json").json();
  CHECK(app["type"] == "static");
  CHECK(platform.karreg("create shop").code == 6);
  CHECK(platform.good("list --format json").json().at(0)["id"] == app["id"]);
  CHECK(has(platform.good("list").out, "http://shop.localhost:8080/"));

  platform.good("env set A=1 B='two words'");
  platform.good("env set C 3");
  platform.good("env rm A");
  CHECK(platform.good("env list").out == "B=\"two words\"\nC=\"3\"\n");
  write_file(platform.work() / ".env", "D=4\n");
  platform.good("env import .env --merge");
  CHECK(platform.good("env list --format json").json() ==
        Json({{"B", "two words"}, {"C", "3"}, {"D", "4"}}));
  platform.good("env import .env");
  CHECK(platform.good("env list --format json").json() == Json({{"D", "4"}}));
  CHECK(platform.karreg("env import missing.env").code == 2);

  platform.good("domain add www.example.org");
  platform.good("domain favourite www.example.org");
  CHECK(has(platform.good("domain list").out, "www.example.org  (favourite)"));
  CHECK(platform.good("open --format json").json()["url"] == "http://www.example.org:8080/");
  const Ended unknown_domain = platform.karreg("domain rm ww.example.org");
  CHECK(unknown_domain.code == 5);
  CHECK(has(unknown_domain.err, "Did you mean `www.example.org`?"));
  platform.good("domain rm www.example.org");

  CHECK(platform.good("scale --instances 2 --flavor pico --format json").json()["max_instances"] ==
        2);
  CHECK(has(platform.good("status").out, "2 x pico"));

  platform.good("unlink");
  CHECK(platform.karreg("status").code == 5);
  const Ended misspelt = platform.karreg("status --app shpo");
  CHECK(has(misspelt.err, "Did you mean `shop`?"));
  platform.good("link shop --alias live");
  platform.good("link " + app["id"].get<std::string>() + " --alias also");
  CHECK(platform.karreg("status").code == 2);
  CHECK(has(platform.good("status --alias live").out, "shop  stopped"));
  platform.good("unlink also");

  CHECK(platform.karreg("delete").code == 2);
  platform.good("delete --yes");
  CHECK_FALSE(std::filesystem::exists(platform.work() / ".karreg.json"));
  CHECK(platform.good("list --format json").json().empty());
}

TEST_CASE("a deployment is pushed and watched; failures, repetitions and refusals are told") {
  CliPlatform platform;
  platform.login();
  platform.good("create --type static shop");
  const Ended no_repository = platform.karreg("deploy");
  CHECK(no_repository.code == 5);
  CHECK(has(no_repository.err, "This folder is no git repository."));

  platform.commit("one");
  const Ended first = platform.good("deploy");
  CHECK(has(first.err, "the played build says hello"));
  CHECK(has(first.err, "Deployed: shop at http://shop.localhost:8080/."));
  CHECK(has(platform.good("activity").out, "succeeded"));
  CHECK(platform.karreg("deploy").code == 6);  // everything is up to date

  platform.scheduler().verdict("FAIL");
  platform.commit("two");
  const Ended failed = platform.karreg("deploy");
  CHECK(failed.code == 1);
  CHECK(has(failed.err, "karreg: Deployment 2 of shop failed: the played build failed.\n"));

  platform.scheduler().verdict("OK");
  const Json again = platform.good("deploy --format json").json();
  CHECK(again["state"] == "OK");
  CHECK(again["number"] == 3);

  must_run("cd " + platform.work().string() + " && git reset -q --hard HEAD~1");
  platform.commit("three");
  const Ended behind = platform.karreg("deploy");
  CHECK(behind.code == 6);
  CHECK(has(behind.err, "or replace them with --force."));
  platform.good("deploy --force");

  const Ended restarted = platform.good("restart");
  CHECK(has(restarted.out, "the played build says hello"));
  CHECK(has(restarted.err, "Deployed: shop at "));
  CHECK(platform.good("restart --commit HEAD --without-cache --format json").json()["state"] ==
        "OK");
  CHECK(platform.karreg("restart --commit nonsense").code == 2);

  const Json lines = Json::parse("[" + [&] {
    std::string all = platform.good("logs --since 1h --format json").out;
    all.pop_back();
    for (auto at = all.find('\n'); at != std::string::npos; at = all.find('\n', at + 2))
      all.replace(at, 1, ",\n");
    return all;
  }() + "]");
  CHECK(lines.size() == 6);
  CHECK(lines.at(0)["message"] == "the played build says hello");
  CHECK(platform.good("logs --since 1h --search nothing-like-it").out.empty());
  platform.good("stop");
  eventually("the app is stopped",
             [&] { return platform.good("status --format json").json()["status"] == "stopped"; });
}

TEST_CASE("a deployment is left going on, joined and cancelled") {
  CliPlatform platform;
  platform.login();
  platform.good("create --type static shop");
  CHECK(platform.karreg("cancel-deploy").code == 6);
  platform.scheduler().verdict("WIP");
  platform.commit("one");
  const Ended detached = platform.good("deploy --detach");
  CHECK(has(detached.err, "Deployment 1 goes on."));
  CHECK(platform.good("status --format json").json()["status"] == "deploying");

  platform.good("cancel-deploy");
  CHECK(platform.database().value("SELECT cancel_requested FROM deployments") == "t");
  platform.scheduler().verdict("CANCELLED");
  eventually("it is cancelled", [&] {
    return platform.good("activity --format json").json().at(0)["state"] == "CANCELLED";
  });
}

TEST_CASE("Ctrl-C leaves a deployment going on and says so") {
  CliPlatform platform;
  platform.login();
  platform.good("create --type static shop");
  platform.scheduler().verdict("WIP");
  platform.commit("one");
  const std::string err = (platform.scratch() / "interrupted").string();
  // A process group of its own gets the signal, as a terminal would send it.
  const Ran ran =
      run("cd " + platform.work().string() + " && HOME=" + platform.scratch().path().string() +
          " setsid timeout --signal=INT 5 " + KARREG_CLI_PROGRAM + " deploy 2>" + err);
  INFO(read_file(err));
  CHECK(has(read_file(err), "Detached: the deployment goes on."));
  CHECK(platform.database().value("SELECT state FROM deployments") == "WIP");
}

TEST_CASE("the token reaches git over no command line and no file") {
  CliPlatform platform;
  platform.login();
  platform.good("create --type static shop");
  platform.commit("one");
  const std::string token = platform.user()["api_token"].get<std::string>();
  // git shows every command that it runs, and this credential store would keep what it is given.
  const Ended deployed =
      platform.karreg("deploy",
                      "GIT_TRACE=1 GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=credential.helper "
                      "GIT_CONFIG_VALUE_0=store");
  INFO(deployed.err);
  CHECK(deployed.code == 0);
  CHECK_FALSE(has(deployed.err, token));
  CHECK_FALSE(std::filesystem::exists(platform.scratch() / ".git-credentials"));
  CHECK_FALSE(has(must_run("cat " + (platform.work() / ".git/config").string()), token));
}
