#pragma once
// karreg-api as a process with database, broker and git, and karreg and git beside it; the test
// plays the scheduler: it ends deployments and writes their log.

#include <atomic>
#include <mutex>

#include "common/broker/publisher.hpp"
#include "common/broker/topology.hpp"
#include "common/wire/json.hpp"
#include "common/wire/logs.hpp"
#include "support/an_api.hpp"
#include "support/programs.hpp"

namespace karreg::test {

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

class CliPlatform : public AnApi {
 public:
  /// @p more: further settings of the API.
  explicit CliPlatform(const Environment& more = {})
      : AnApi("cli", with_apps_port(more)),
        user_(make_user("ann@example.org")),
        scheduler_(database().url(), test_broker()) {
    std::filesystem::create_directories(work());
  }

  const User& user() const { return user_; }
  PlayedScheduler& scheduler() { return scheduler_; }
  std::filesystem::path work() const { return scratch() / "work"; }

  /// Runs `karreg @p words` in the work tree. @p before: words before the program, such as
  /// variables.
  Ended karreg(const std::string& words, const std::string& before = "") {
    const std::string out = (scratch() / "out").string();
    const std::string err = (scratch() / "err").string();
    const Ran ran = run(
        "cd " + work().string() + " && env -i PATH=\"$PATH\" HOME=" + scratch().path().string() +
        " " + before + " timeout 60 " + program("karreg") + " " + words + " >" + out + " 2>" + err);
    return {ran.exit_code, read_file(out), read_file(err)};
  }
  /// As karreg(), and the test fails when it does.
  Ended good(const std::string& words) {
    Ended ended = karreg(words);
    INFO("karreg " << words << "\n" << ended.out << ended.err);
    REQUIRE(ended.code == 0);
    return ended;
  }
  /// Begins `karreg @p words`; ended() tells its end.
  void begin(const std::string& words) {
    const std::string to = (scratch() / "begun").string();
    must_run("cd " + work().string() + " && (env -i PATH=\"$PATH\" HOME=" +
             scratch().path().string() + " timeout 120 " + program("karreg") + " " + words + " >" +
             to + ".out 2>" + to + ".err; echo $? >" + to + ".code) >/dev/null 2>&1 &");
  }
  std::string begun_err() const {
    const auto file = scratch() / "begun.err";
    return std::filesystem::exists(file) ? read_file(file) : "";
  }
  Ended ended() {
    const std::string from = (scratch() / "begun").string();
    eventually(
        "the program ends",
        [&] {
          return std::filesystem::exists(from + ".code") &&
                 std::filesystem::file_size(from + ".code") > 0;
        },
        std::chrono::seconds(120));
    return {std::stoi(read_file(from + ".code")), read_file(from + ".out"),
            read_file(from + ".err")};
  }
  /// The API dies without a word and starts again after @p while_away.
  void restart_api(const std::function<void()>& while_away) {
    process().stop(SIGKILL);
    while_away();
    start();
  }
  void login() { good("login --api-host " + url() + " --token " + user_.text("api_token")); }
  /// A call as a browser's page makes it, with the cookies kept in @p jar; its status.
  int browse(const std::string& jar, const std::string& method, const std::string& path,
             const std::string& body = "",
             const std::string& headers = "-H 'X-Karreg-Console: 1'") {
    const std::string cookies = (scratch() / jar).string();
    return std::stoi(must_run(
        "curl -sS --max-time 20 -o " + (scratch() / "answer").string() + " -w '%{http_code}' -b " +
        cookies + " -c " + cookies + " -X " + method + " " + headers +
        (body.empty() ? "" : " --data '" + body + "'") + " '" + url() + path + "'"));
  }
  Json answer() const { return Json::parse(read_file(scratch() / "answer")); }
  void commit(const std::string& text) {
    write_file(work() / "index.html", text);
    must_run("cd " + work().string() +
             " && git init -q 2>/dev/null; git add index.html && git -c user.name=A -c "
             "user.email=a@example.org -c commit.gpgsign=false commit -q -m x");
  }

 private:
  static Environment with_apps_port(Environment settings) {
    settings.try_emplace("KARREG_API_APPS_PORT", "8080");
    return settings;
  }

  User user_;
  PlayedScheduler scheduler_;
};

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace karreg::test
