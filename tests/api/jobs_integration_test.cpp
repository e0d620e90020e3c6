// Tasks, crons and what became of them, over HTTP against a real karreg-api and database; the test
// plays the scheduler.
#include "common/broker/topology.hpp"
#include "support/an_api.hpp"
#include "support/inbox.hpp"

using namespace karreg;
using namespace karreg::test;

namespace {

struct WithJobs : AnApi {
  User ann = make_user("ann@example.org");
  std::string app = make_app(ann, "shop");

  explicit WithJobs(const std::string& purpose) : AnApi(purpose) {}

  std::string jobs() const { return "/v2/self/applications/" + app + "/jobs"; }
  std::string crons() const { return "/v2/self/applications/" + app + "/crons"; }
  /// A version of size S is in service.
  void serve(const std::string& cron = "[]") {
    database().query(
        "INSERT INTO artifacts (digest, bytes, runtime, plan) VALUES ('digest', 4096, 'node', "
        "'{}');"
        "INSERT INTO deployments (uuid, app_id, number, action, cause, author, commit_id, flavor, "
        "state, phase, artifact_digest, ended_at) VALUES ('deployment_1', '" +
        app +
        "', 1, 'DEPLOY', 'Git push', 'ann', 'c0ffee', 'S', 'OK', 'ended', 'digest', now());"
        "UPDATE apps SET serving_deployment = 'deployment_1', state = 'SHOULD_BE_UP', cron = '" +
        cron + "' WHERE id = '" + app + "'");
  }
};

}  // namespace

TEST_CASE("a task runs from the version in service, with its size, and is seen to its end") {
  WithJobs api("jobs");
  const auto early = api.call(api.ann, "POST", api.jobs(), R"({"command":"rake mail"})");
  CHECK(early.status == 409);
  CHECK(message_of(early) ==
        "a task runs from the version in service, and there was none yet: push first");
  api.serve();
  Inbox scheduler(test_broker(), broker::key::scheduler_wake);
  const Json job = api.good(api.ann, "POST", api.jobs(), R"({"command":"rake mail"})");
  CHECK(job["kind"] == "task");
  CHECK(job["state"] == "queued");
  CHECK(job["deploymentId"] == "deployment_1");
  CHECK(job["flavor"] == "S");
  CHECK(job["timeLimit"] == 3600);
  CHECK(job["author"] == "Somebody");
  CHECK(job["exitCode"].is_null());
  CHECK(job["endedAt"].is_null());
  const std::string id = job["id"].get<std::string>();
  scheduler.await([&](const std::string& wake) { return wake.contains(api.app); });
  api.database().query(
      "UPDATE jobs SET state = 'failed', exit_code = 3, message = 'the command "
      "exited with 3', started_at = now(), ended_at = now()");
  const Json ended = api.good(api.ann, "GET", api.jobs() + "/" + id);
  CHECK(ended["state"] == "failed");
  CHECK(ended["exitCode"] == 3);
  CHECK(ended["message"] == "the command exited with 3");
  CHECK_FALSE(ended["endedAt"].is_null());
  const auto over = api.call(api.ann, "DELETE", api.jobs() + "/" + id);
  CHECK(over.status == 409);
  CHECK(message_of(over) == "the job is over: failed");
}

TEST_CASE("a task of an app that is stopped runs from what served last") {
  WithJobs api("jobs_stopped");
  api.serve();
  api.database().query("UPDATE apps SET serving_deployment = NULL, state = 'SHOULD_BE_DOWN'");
  CHECK(api.good(api.ann, "POST", api.jobs(), R"({"command":"x"})")["deploymentId"] ==
        "deployment_1");
}

TEST_CASE("a task may have a size and a time limit of its own, and can be stopped") {
  WithJobs api("jobs_stop");
  api.serve();
  const Json job =
      api.good(api.ann, "POST", api.jobs(), R"({"command":"x","flavor":"XS","timeLimit":90})");
  CHECK(job["flavor"] == "XS");
  CHECK(job["timeLimit"] == 90);
  api.good(api.ann, "DELETE", api.jobs() + "/" + job["id"].get<std::string>());
  CHECK(api.database().value("SELECT cancel_requested FROM jobs") == "t");
}

TEST_CASE("jobs are listed newest first, by kind, so many") {
  WithJobs api("jobs_list");
  api.serve();
  api.database().query(
      "INSERT INTO jobs (id, app_id, deployment, kind, command, schedule, due, flavor, wall_ms, "
      "state, requested_at, ended_at) SELECT 'job_' || n, '" +
      api.app +
      "', 'deployment_1', CASE n % 2 WHEN 0 THEN 'cron' ELSE 'release' END, 'c' || n, '* * * * *', "
      "to_timestamp(n), 'S', 1000, 'skipped', to_timestamp(n), to_timestamp(n) FROM "
      "generate_series(1, 6) n");
  const Json all = api.good(api.ann, "GET", api.jobs());
  REQUIRE(all.size() == 6);
  CHECK(all[0]["id"] == "job_6");
  CHECK(all[0]["due"] == "1970-01-01T00:00:06.000Z");
  CHECK(api.good(api.ann, "GET", api.jobs() + "?limit=2").size() == 2);
  CHECK(api.good(api.ann, "GET", api.jobs() + "?kind=release").size() == 3);
  const auto release = api.call(api.ann, "DELETE", api.jobs() + "/job_1");
  CHECK(release.status == 409);
  CHECK(message_of(release) == "it is the release command of a deployment: cancel the deployment");
  CHECK(api.call(api.ann, "GET", api.jobs() + "?kind=nonsense").status == 400);
  for (const std::string limit : {"0", "1001", "x", "-1"})
    CHECK(api.call(api.ann, "GET", api.jobs() + "?limit=" + limit).status == 400);
}

TEST_CASE("what is wrong with a task is said") {
  WithJobs api("jobs_wrong");
  api.serve();
  const auto why = [&](const std::string& body) {
    const auto answer = api.call(api.ann, "POST", api.jobs(), body);
    CHECK(answer.status == 400);
    return message_of(answer);
  };
  CHECK(why("{}") == "the field \"command\" must be the shell command that is to run");
  CHECK(why(R"({"command":"  "})") ==
        "the field \"command\" must be the shell command that is to run");
  CHECK_THAT(why(R"({"command":5})"), Catch::Contains("wrong type"));
  CHECK_THAT(why(R"({"command":"a\u0000b"})"), Catch::Contains("zero byte"));
  CHECK_THAT(why(R"({"command":"x","flavor":"huge"})"), Catch::Contains("huge"));
  CHECK_THAT(why(R"({"command":"x","timeLimit":0})"), Catch::Contains("from 1 to 86400, not 0"));
  CHECK_THAT(why(R"({"command":"x","timeLimit":86401})"), Catch::Contains("not 86401"));
  CHECK(
      api.call(api.ann, "POST", api.jobs(), Json({{"command", std::string(33 * 1024, 'x')}}).dump())
          .status == 413);
  const auto unknown = api.call(api.ann, "GET", api.jobs() + "/job_nobody");
  CHECK(unknown.status == 404);
  const User mallory = api.make_user("mallory@example.org");
  CHECK(api.call(mallory, "GET", api.jobs()).status == 404);
  CHECK(api.call(mallory, "POST", api.jobs(), R"({"command":"x"})").status == 404);
  CHECK(api.call(mallory, "GET", api.crons()).status == 404);
  for (int i = 0; i < 20; ++i) api.good(api.ann, "POST", api.jobs(), R"({"command":"x"})");
  const auto many = api.call(api.ann, "POST", api.jobs(), R"({"command":"x"})");
  CHECK(many.status == 409);
  CHECK_THAT(message_of(many), Catch::Contains("20 open tasks"));
}

TEST_CASE("the entries of the cron in service are shown with their next time and their last run") {
  WithJobs api("crons");
  CHECK(api.good(api.ann, "GET", api.crons()) == Json::array());
  api.serve(R"([{"schedule":"@yearly","command":"rake report","wall_ms":60000,"catch_up":true},)"
            R"({"schedule":"* * * * *","command":"rake mail"}])");
  api.database().query(
      "INSERT INTO jobs (id, app_id, deployment, kind, command, schedule, due, flavor, wall_ms, "
      "state, requested_at, ended_at) SELECT 'job_' || n, '" +
      api.app +
      "', 'deployment_1', 'cron', 'rake mail', '* * * * *', to_timestamp(60 * n), 'S', 1000, "
      "'succeeded', to_timestamp(60 * n), now() FROM generate_series(1, 3) n");
  const Json crons = api.good(api.ann, "GET", api.crons());
  REQUIRE(crons.size() == 2);
  CHECK(crons[0]["schedule"] == "@yearly");
  CHECK(crons[0]["timeLimit"] == 60);
  CHECK(crons[0]["catchUp"] == true);
  CHECK(crons[0]["last"].is_null());
  CHECK_THAT(crons[0]["next"].get<std::string>(), Catch::EndsWith("-01-01T00:00:00.000Z"));
  CHECK(crons[1]["last"]["id"] == "job_3");
}
