// Apps on older images and rolls from the command line, against a real karreg-api, database and
// broker; the test plays the scheduler.
#include "a_platform.hpp"

using namespace karreg;
using namespace karreg::test;

namespace {

class ImagesPlatform : public CliPlatform {
 public:
  ImagesPlatform() {
    scheduler().verdict("WIP");
    login();
    database().query(
        "INSERT INTO images (runtime, digest, version, versions, packages, current) VALUES "
        "('node', 'one', 'node run', '{}', '{\"openssl\": \"3.5.1\"}', false), "
        "('node', 'two', 'node run', '{}', '{\"openssl\": \"3.5.2\"}', true)");
    database().query(
        "INSERT INTO artifacts (digest, bytes, runtime, plan) VALUES ('digest', 1, 'node', '{}')");
  }
  /// A new app in service on the older image.
  std::string serve(const std::string& name) {
    const std::string app =
        good("create " + name + " --type node --no-link --format json").json()["id"];
    database().query(
        "INSERT INTO deployments (uuid, app_id, number, action, cause, author, commit_id, flavor, "
        "state, phase, artifact_digest, runtime, run_image, ended_at) VALUES ('deployment_" +
        name + "', '" + app +
        "', 1, 'DEPLOY', 'Git push', 'ann', 'c0ffee', 'S', 'OK', 'ended', 'digest', 'node', 'one', "
        "now());"
        "UPDATE apps SET serving_deployment = 'deployment_" +
        name + "', state = 'SHOULD_BE_UP' WHERE id = '" + app + "'");
    return app;
  }
  void step(const std::string& name, const std::string& state, const std::string& message = "") {
    database().query("UPDATE roll_apps SET step = '" + state + "', message = '" + message +
                     "' WHERE name = '" + name + "'");
  }
  void ends(const std::string& state, const std::string& message = "") {
    database().query("UPDATE rolls SET state = '" + state + "', message = '" + message +
                     "', ended_at = now() WHERE state = 'running'");
  }
  std::string asked() {
    std::string id;
    eventually("the roll is asked for", [&] {
      id = database().value("SELECT coalesce(max(id), '') FROM rolls WHERE state = 'running'");
      return !id.empty();
    });
    return id;
  }
};

}  // namespace

TEST_CASE("apps on older images are listed, and that there are some is the exit code") {
  ImagesPlatform platform;
  const Ended none = platform.good("images outdated");
  CHECK(has(none.err, "Every app runs on the present image of its runtime.\n"));
  platform.serve("shop");
  const Ended some = platform.karreg("images outdated");
  CHECK(some.code == 10);
  CHECK(some.out ==
        "shop (node): one -> two, 1 package differs, no build needed\n"
        "    openssl  3.5.1 -> 3.5.2\n");
  const Ended json = platform.karreg("images outdated --format json");
  CHECK(json.code == 10);
  CHECK(json.json()[0]["newImage"] == "two");
  CHECK(platform.karreg("images outdated --org nobody").code == 5);
}

TEST_CASE("a roll is followed to its end, and one that stops has the exit code 1") {
  ImagesPlatform platform;
  platform.serve("shop");
  platform.serve("blog");
  platform.begin("images roll --wave 1 --follow");
  const std::string id = platform.asked();
  platform.step("blog", "deploying");
  eventually("the first wave is seen",
             [&] { return has(platform.begun_err(), "wave 1 of 2: blog deploying\n"); });
  platform.step("blog", "failed", "the app exited with code 1");
  platform.step("shop", "untouched");
  platform.ends("stopped", "the app exited with code 1");
  const Ended ended = platform.ended();
  CHECK(ended.code == 1);
  CHECK(has(ended.err, "Roll " + id + ": 2 apps in 2 waves.\n"));
  CHECK(has(ended.err, "wave 1 of 2: blog failed: the app exited with code 1\n"));
  CHECK(has(ended.out, "Roll " + id + ": stopped, 2 apps in 2 waves, begun "));
  CHECK(has(ended.out, "why it ended: the app exited with code 1\n"));
  CHECK(has(ended.out, "2     shop  untouched\n"));
  CHECK(has(platform.good("images rolls").out, id));
  CHECK(platform.good("images status --format json").json()["state"] == "stopped");
  CHECK(platform.karreg("images status --follow").code == 1);
}

TEST_CASE("a roll of named apps goes on by itself, is shown, and cancelled") {
  ImagesPlatform platform;
  CHECK(platform.karreg("images status").code == 5);
  const Ended nothing = platform.karreg("images roll");
  CHECK(nothing.code == 6);
  CHECK(has(nothing.err, "there is nothing to roll"));
  const std::string shop = platform.serve("shop");
  platform.serve("blog");
  const Ended begun = platform.good("images roll --app shop --app " + shop);
  CHECK(platform.database().value("SELECT string_agg(name, ' ') FROM roll_apps") == "shop");
  const std::string id = platform.asked();
  CHECK(begun.out == id + "\n");
  CHECK(has(platform.good("images status " + id).out, "1     shop  waiting\n"));
  CHECK(platform.good("images cancel").err ==
        "No further wave of " + id + " begins; what is being deployed goes on to its end.\n");
  CHECK(platform.database().value("SELECT cancel_requested FROM rolls") == "t");
  platform.ends("done");
  CHECK(platform.karreg("images cancel").code == 6);
  CHECK(platform.karreg("images status nothing").code == 5);
}
