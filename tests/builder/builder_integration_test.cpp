// karreg-builder as a process, with a real database, broker and git; the test plays the scheduler,
// the agent and the build VM.
#include <algorithm>
#include <random>

#include "common/broker/publisher.hpp"
#include "common/crypto/digest.hpp"
#include "platform.hpp"

using namespace karreg;
using namespace karreg::test;
namespace fs = std::filesystem;

namespace {

const std::map<std::string, std::string> node_app = {
    {"package.json", R"({"dependencies":{"a":"1"},"scripts":{"start":"node a.js"}})"},
    {"a.js", "1"}};

std::string artifact_bytes(char c) {
  return std::string(3 * 4096, c);
}

bool contains(const std::vector<std::string>& lines, const std::string& beginning) {
  return std::ranges::any_of(lines, [&](const auto& line) { return line.starts_with(beginning); });
}

}  // namespace

TEST_CASE("a build is planned, its disks are made, its output becomes an artifact") {
  Platform platform;
  const std::string app = platform.app(node_app);
  const std::string build = platform.ask_for_build(app);
  platform.start_builder();
  platform.await_state(build, "prepared");

  CHECK(must_run("tar -tf " + (platform.folder(build) / "source.tar").string()) ==
        "a.js\npackage.json\n");
  CHECK(fs::file_size(platform.output(build)) == 16'777'216);
  CHECK(must_run("stat -c %b " + platform.output(build).string()) == "0\n");
  CHECK(fs::file_size(platform.data() / "cache" / (app + ".img")) == 32 << 20);
  CHECK(platform.value("SELECT runtime FROM builds") == "node");
  CHECK(platform.value("SELECT plan->'run_command'->>2 FROM builds") == "exec node a.js");
  CHECK(platform.value("SELECT lease_until IS NULL FROM builds") == "t");

  const std::string bytes = artifact_bytes('a');
  platform.play_vm(build, bytes);
  platform.await_state(build, "succeeded");
  const std::string digest = crypto::sha256_hex(bytes);
  CHECK(platform.value("SELECT artifact_digest FROM builds") == digest);
  CHECK(platform.value("SELECT bytes FROM artifacts WHERE digest = '" + digest + "'") == "12288");
  const fs::path artifact = platform.data() / "artifacts" / digest;
  CHECK(read_file(artifact) == bytes);
  CHECK(must_run("stat -c %a " + artifact.string()) == "644\n");
  eventually("the build's folder is gone", [&] { return !fs::exists(platform.folder(build)); });

  const auto log = platform.log_of(app);
  CHECK(contains(log, "Detected Node.js (package.json)."));
  CHECK(contains(log, "Install: npm install"));
  CHECK(contains(log, "Build succeeded in "));
}

TEST_CASE("an equal build is not done again, unless it is asked for") {
  Platform platform;
  const std::string app = platform.app(node_app);
  const std::string first = platform.ask_for_build(app, {{"A", "1"}});
  platform.start_builder();
  platform.await_state(first, "prepared");
  platform.play_vm(first, artifact_bytes('a'));
  platform.await_state(first, "succeeded");

  const std::string equal = platform.ask_for_build(app, {{"A", "1"}});
  platform.await_state(equal, "succeeded");
  CHECK(platform.value("SELECT artifact_digest FROM builds WHERE id = '" + equal + "'") ==
        crypto::sha256_hex(artifact_bytes('a')));
  CHECK(platform.value("SELECT plan->>'runtime' FROM builds WHERE id = '" + equal + "'") == "node");
  CHECK(contains(platform.log_of(app), "Nothing to build: the artifact "));

  const std::string other_env = platform.ask_for_build(app, {{"A", "2"}});
  platform.await_state(other_env, "prepared");
  const std::string forced = platform.ask_for_build(app, {{"A", "1"}}, false);
  platform.await_state(forced, "prepared");
  platform.play_vm(forced, artifact_bytes('b'));
  platform.await_state(forced, "succeeded");
  CHECK(platform.value("SELECT count(*) FROM artifacts") == "2");

  const std::string after = platform.ask_for_build(app, {{"A", "1"}});
  platform.await_state(after, "succeeded");
  CHECK(platform.value("SELECT artifact_digest FROM builds WHERE id = '" + after + "'") ==
        crypto::sha256_hex(artifact_bytes('b')));

  fs::remove(platform.data() / "artifacts" / crypto::sha256_hex(artifact_bytes('b')));
  const std::string lost = platform.ask_for_build(app, {{"A", "1"}});
  platform.await_state(lost, "prepared");
}

TEST_CASE("what cannot be built fails with a message for the pusher, in the log too") {
  Platform platform;
  const std::string empty = platform.app({{"README", ""}});
  const std::string malformed = platform.app({{"package.json", "{"}});
  const std::string imageless = platform.app({{"app.py", ""}});
  const std::string nothing_known = platform.ask_for_build(empty);
  const std::string bad_json = platform.ask_for_build(malformed);
  const std::string no_image = platform.ask_for_build(imageless);
  const std::string foreign = platform.ask_for_build(empty);
  platform.query("UPDATE deployments SET sealed_env = 'nonsense' FROM builds WHERE builds.id = '" +
                 foreign + "' AND uuid = builds.deployment");
  platform.start_builder();
  for (const auto& build : {nothing_known, bad_json, no_image, foreign})
    platform.await_state(build, "failed");
  CHECK(platform.message(nothing_known).starts_with("No known way to build this was found in "));
  CHECK(platform.message(bad_json).starts_with("package.json, line 1, column 2: "));
  CHECK(platform.message(no_image) ==
        "The platform has no image for python. Its operator has to make one (karreg-images).");
  CHECK(platform.message(foreign).starts_with("the environment of the deployment: "));
  CHECK(contains(platform.log_of(malformed), "Build failed: package.json, line 1, column 2: "));
  CHECK(fs::is_empty(platform.data() / "builds"));
}

TEST_CASE("a host without room prepares nothing and says so") {
  Platform platform;
  platform.settings()["KARREG_BUILDER_MIN_FREE_BYTES"] = "1099511627776";
  const std::string build = platform.ask_for_build(platform.app(node_app));
  platform.start_builder();
  platform.await_state(build, "failed");
  CHECK(platform.message(build).find("less than the 1048576 MiB that it keeps.") !=
        std::string::npos);
}

TEST_CASE("a platform without images says who has to make them") {
  Platform platform;
  const std::string build = platform.ask_for_build(platform.app(node_app));
  fs::remove(platform.data() / "images/catalogue.json");
  platform.start_builder();
  platform.await_state(build, "failed");
  CHECK(platform.message(build) ==
        "The platform has no images yet: " + (platform.data() / "images/catalogue.json").string() +
            " cannot be read. Its operator has to make them (karreg-images).");
}

TEST_CASE("an output of an impossible size is refused") {
  Platform platform;
  const std::string build = platform.ask_for_build(platform.app(node_app));
  platform.start_builder();
  platform.await_state(build, "prepared");
  platform.query("UPDATE builds SET state = 'built', output_bytes = 4097");
  platform.await_state(build, "failed");
  CHECK(platform.message(build).starts_with("The build VM reported an artifact of 4097 bytes"));
  eventually("the build's folder is gone", [&] { return !fs::exists(platform.folder(build)); });
}

TEST_CASE("news from the broker wakes the builder") {
  Platform platform;
  platform.settings()["KARREG_BUILDER_POLL"] = "24h";
  platform.start_builder();
  platform.builder().await_log("karreg-builder is ready");
  const std::string build = platform.ask_for_build(platform.app(node_app));
  broker::Publisher publisher(platform.broker());
  REQUIRE(publisher.publish_and_wait(broker::key::builder_wake, "{}", std::chrono::seconds(10)));
  platform.await_state(build, "prepared");
}

TEST_CASE(
    "what is left of builds that are over, and of apps that are gone, is removed at the start") {
  Platform platform;
  const std::string app = platform.app(node_app);
  const std::string build = platform.ask_for_build(app);
  platform.query("UPDATE builds SET state = 'running'");
  for (const std::string& name : {build, std::string("build_gone")})
    write_file(platform.folder(name) / "output.img", "x");
  write_file(platform.data() / "cache" / (app + ".img"), "x");
  write_file(platform.data() / "cache/app_gone.img", "x");
  platform.start_builder();
  eventually("orphans are gone", [&] {
    return !fs::exists(platform.folder("build_gone")) &&
           !fs::exists(platform.data() / "cache/app_gone.img");
  });
  CHECK(fs::exists(platform.output(build)));
  CHECK(fs::exists(platform.data() / "cache" / (app + ".img")));
}

TEST_CASE("a builder killed at any moment finishes after its restart") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::minstd_rand random(seed);
  Platform platform;
  platform.settings()["KARREG_BUILDER_LEASE"] = "200ms";
  const std::string app = platform.app(node_app);
  for (char round = 'a'; round < 'i'; ++round) {
    const std::string build = platform.ask_for_build(app, {{"ROUND", std::string(1, round)}});
    const auto killed_until = [&](const std::string& wanted) {
      for (int kills = 0; kills < 3 && platform.state(build) != wanted; ++kills) {
        platform.start_builder();
        // not a wait for something, but the moment of the kill
        std::this_thread::sleep_for(std::chrono::milliseconds(random() % 150));
        platform.kill_builder();
      }
      platform.start_builder();
      platform.await_state(build, wanted);
      platform.kill_builder();
    };
    killed_until("prepared");
    CHECK(must_run("tar -tf " + (platform.folder(build) / "source.tar").string()) ==
          "a.js\npackage.json\n");
    const std::string bytes(1 << 22, round);
    platform.play_vm(build, bytes);
    killed_until("succeeded");
    CHECK(read_file(platform.data() / "artifacts" / crypto::sha256_hex(bytes)) == bytes);
  }
  platform.start_builder();
  eventually("no folder is left", [&] { return fs::is_empty(platform.data() / "builds"); });
  CHECK(platform.value("SELECT count(*) FROM artifacts") == "8");
}

TEST_CASE("a builder that lost its lease changes nothing") {
  Platform platform;
  const std::string build = platform.ask_for_build(platform.app(node_app));
  platform.settings()["KARREG_BUILDER_LEASE"] = "1h";
  // another builder holds it
  platform.query("UPDATE builds SET state = 'planning', lease_until = now() + interval '1 hour'");
  platform.start_builder();
  const std::string second = platform.ask_for_build(platform.app(node_app));
  platform.await_state(second, "prepared");
  CHECK(platform.state(build) == "planning");
  platform.query("UPDATE builds SET lease_until = now() - interval '1 second' WHERE id = '" +
                 build + "'");
  platform.await_state(build, "prepared");
}

TEST_CASE("a setting that is wrong is named at the start") {
  Platform platform;
  const std::string env = "env -i KARREG_DATABASE_URL=x ";
  const std::string program = KARREG_BUILDER_PROGRAM;
  const Ran relative = run(env + "KARREG_DATA_DIR=here " + program);
  CHECK(relative.exit_code == 2);
  CHECK(relative.output == "karreg-builder: setting data.dir: `here` is not an absolute path\n");
  const Ran odd =
      run(env + "KARREG_DATA_DIR=/d KARREG_BUILDER_OUTPUT_MAX_BYTES=1048577 " + program);
  CHECK(odd.output ==
        "karreg-builder: setting builder.output_max_bytes: must be a multiple of 4096\n");
}
