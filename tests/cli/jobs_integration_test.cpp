// Tasks from the command line, against a real karreg-api, database and broker; the test plays the
// scheduler and the VM.
#include "a_platform.hpp"

using namespace karreg;
using namespace karreg::test;

namespace {

class TaskPlatform : public CliPlatform {
 public:
  TaskPlatform() : publisher_(test_broker()) {
    scheduler().verdict("WIP");
    login();
    app_ = good("create shop --type node --format json").json()["id"].get<std::string>();
    database().query(
        "INSERT INTO artifacts (digest, bytes, runtime, plan) VALUES ('digest', 4096, 'node', "
        "'{}');"
        "INSERT INTO deployments (uuid, app_id, number, action, cause, author, commit_id, flavor, "
        "state, phase, artifact_digest, ended_at) VALUES ('deployment_1', '" +
        app_ +
        "', 1, 'DEPLOY', 'Git push', 'ann', 'c0ffee', 'S', 'OK', 'ended', 'digest', now());"
        "UPDATE apps SET serving_deployment = 'deployment_1', state = 'SHOULD_BE_UP' WHERE id = '" +
        app_ + "'");
  }

  /// The job that was asked for, once it is there.
  std::string asked() {
    std::string id;
    eventually("the task is asked for", [&] {
      id = database().value("SELECT coalesce(max(id), '') FROM jobs WHERE state = 'queued'");
      return !id.empty();
    });
    return id;
  }
  void begins(const std::string& id) {
    database().query("UPDATE jobs SET state = 'running', started_at = now(), instance_id = 'vm_" +
                     id + "' WHERE id = '" + id + "'");
  }
  void prints(const std::string& id, const std::string& stream, const std::string& text) {
    wire::LogBatch batch;
    batch.app_id = app_;
    batch.deployment_id = "deployment_1";
    batch.instance_id = "vm_" + id;
    batch.service = "job";
    batch.lines.push_back(
        {std::chrono::system_clock::now().time_since_epoch().count(), stream, text});
    REQUIRE(publisher_.publish_to_stream(broker::log_stream(app_), wire::to_text(batch)));
  }
  void ends(const std::string& id, int code) {
    database().query("UPDATE jobs SET state = '" + std::string(code == 0 ? "succeeded" : "failed") +
                     "', ended_at = now(), message = 'the command exited with " +
                     std::to_string(code) + "', exit_code = " + std::to_string(code) +
                     " WHERE id = '" + id + "'");
  }

 private:
  broker::Publisher publisher_;
  std::string app_;
};

}  // namespace

TEST_CASE("a task prints what its command prints, and its exit code is the command's") {
  TaskPlatform platform;
  platform.begin("run --app shop -- sh -c 'echo one two; exit 3'");
  const std::string id = platform.asked();
  CHECK(platform.database().value("SELECT command FROM jobs WHERE id = '" + id + "'") ==
        "sh -c 'echo one two; exit 3'");
  platform.begins(id);
  platform.prints(id, "out", "one two");
  platform.prints(id, "err", "a warning");
  platform.prints("another", "out", "of somebody else");
  platform.ends(id, 3);
  const Ended ended = platform.ended();
  CHECK(ended.code == 3);
  CHECK(ended.out == "one two\n");
  CHECK(has(ended.err, "a warning\n"));
  CHECK(has(ended.err, "karreg: The task failed: the command exited with 3.\n"));
}

TEST_CASE("a task that never began has the exit code 125, and says why") {
  TaskPlatform platform;
  platform.begin("run --app shop -- true");
  const std::string id = platform.asked();
  platform.database().query(
      "UPDATE jobs SET state = 'failed', ended_at = now(), message = 'no "
      "room for it: no host is up'");
  const Ended ended = platform.ended();
  CHECK(ended.code == 125);
  CHECK(has(ended.err, "karreg: The task failed: no room for it: no host is up.\n"));
  CHECK(has(platform.good("jobs list --app shop").out, id));
}

TEST_CASE("a task is left to itself when asked, shown, and stopped") {
  TaskPlatform platform;
  const std::string id =
      platform.good("run --detach --size XS --time-limit 90s --app shop -- sleep 1000")
          .out.substr(0, 40);
  CHECK(platform.database().value("SELECT id || flavor || wall_ms FROM jobs") == id + "XS90000");
  const Ended shown = platform.good("jobs show --app shop " + id);
  CHECK(has(shown.out, "task: sleep 1000\nstate: queued\n"));
  CHECK(platform.good("jobs stop --app shop " + id).err == "Stopping job " + id + " of shop.\n");
  CHECK(platform.database().value("SELECT cancel_requested FROM jobs") == "t");
  const Ended unknown = platform.karreg("jobs show --app shop job_x");
  CHECK(unknown.code != 0);
  CHECK(has(unknown.err, "has no job job_x"));
}

TEST_CASE("an app's cron is shown, and one without says so") {
  TaskPlatform platform;
  CHECK(has(platform.good("cron --app shop").err, "has no cron"));
  platform.database().query(
      R"(UPDATE apps SET cron = '[{"schedule":"0 3 * * *","command":"rake mail"}]')");
  const Ended shown = platform.good("cron --app shop");
  CHECK(has(shown.out, "0 3 * * *"));
  CHECK(has(shown.out, " 03:00:00 "));
  CHECK(has(shown.out, "rake mail"));
}
