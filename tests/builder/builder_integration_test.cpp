// karreg-builder as a process, with a real database, broker and git; the test plays the scheduler,
// the agent and the build VM.
#include <fcntl.h>

#include <algorithm>
#include <random>
#include <set>

#include "common/broker/publisher.hpp"
#include "common/crypto/digest.hpp"
#include "platform.hpp"
#include "support/programs.hpp"

using namespace karreg;
using namespace karreg::test;
namespace fs = std::filesystem;

namespace {

const std::map<std::string, std::string> node_app = {
    {"package.json", R"({"dependencies":{"a":"1"},"scripts":{"start":"node a.js"}})"},
    {"a.js", "1"}};

std::string artifact_bytes(char c) {
  return std::string(std::size_t{3} * 4096, c);
}

/// Writes @p text to the pipe @p fifo, once somebody reads it.
void feed(const fs::path& fifo, const std::string& text) {
  int pipe = -1;
  eventually(fifo.string() + " has a reader",
             [&] { return (pipe = open(fifo.c_str(), O_WRONLY | O_NONBLOCK)) >= 0; });
  CHECK(write(pipe, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  close(pipe);
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
  CHECK(platform.value("SELECT run_image FROM builds") == "node-run");
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
  CHECK(platform.value("SELECT run_image FROM builds WHERE id = '" + equal + "'") == "node-run");
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

TEST_CASE("an artifact whose bytes have changed is built anew, and takes its place") {
  Platform platform;
  const std::string app = platform.app(node_app);
  const std::string first = platform.ask_for_build(app);
  platform.start_builder();
  platform.await_state(first, "prepared");
  platform.play_vm(first, artifact_bytes('a'));
  platform.await_state(first, "succeeded");
  const fs::path artifact = platform.data() / "artifacts" / crypto::sha256_hex(artifact_bytes('a'));
  write_file(artifact, std::string(artifact_bytes('a').size(), '!'));

  const std::string second = platform.ask_for_build(app);
  platform.await_state(second, "prepared");
  platform.play_vm(second, artifact_bytes('a'));
  platform.await_state(second, "succeeded");
  CHECK(read_file(artifact) == artifact_bytes('a'));
  CHECK(must_run("ls " + artifact.parent_path().string()) == artifact.filename().string() + "\n");
}

TEST_CASE("a build without the cache begins the dependency cache anew") {
  Platform platform;
  const std::string app = platform.app(node_app);
  const fs::path cache = platform.data() / "cache" / (app + ".img");
  write_file(cache, "damaged");
  const std::string kept = platform.ask_for_build(app);
  platform.start_builder();
  platform.await_state(kept, "prepared");
  CHECK(read_file(cache) == "damaged");
  const std::string anew = platform.ask_for_build(app, {}, false);
  platform.await_state(anew, "prepared");
  must_run("cmp " + cache.string() + " " +
           (platform.data() / "images/blobs/cachetemplate").string());
  CHECK(contains(platform.log_of(app), "Without the cache: dependencies are fetched anew."));
  CHECK(must_run("ls " + cache.parent_path().string()) == app + ".img\n");
}

TEST_CASE("builds that differ and give equal bytes are both remembered") {
  Platform platform;
  const std::string app = platform.app(node_app);
  const std::string other_app = platform.app(node_app);
  platform.start_builder();
  const std::string bytes = artifact_bytes('a');
  for (const auto& [of, env] : {std::pair(app, "production"), std::pair(other_app, "staging")}) {
    const std::string built = platform.ask_for_build(of, {{"STAGE", env}});
    platform.await_state(built, "prepared");
    platform.play_vm(built, bytes);
    platform.await_state(built, "succeeded");
  }
  CHECK(platform.value("SELECT count(DISTINCT build_key) FROM builds") == "2");
  CHECK(platform.value("SELECT count(*) FROM artifacts") == "1");
  // A build that had to be prepared would stay so: nobody plays its VM.
  for (const char* env : {"production", "staging", "production"}) {
    const std::string again = platform.ask_for_build(app, {{"STAGE", env}});
    platform.await_state(again, "succeeded");
  }
  // What another app took over stays known when the app that built it is removed.
  platform.query("DELETE FROM apps WHERE id = '" + other_app + "'");
  const std::string again = platform.ask_for_build(app, {{"STAGE", "staging"}});
  platform.await_state(again, "succeeded");
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
        "The platform has no image for python yet. Its operator has to make it: images/build add "
        "python; or let builders do it (images.command).");
  CHECK(platform.message(foreign).starts_with("the environment of the deployment: "));
  CHECK(contains(platform.log_of(malformed), "Build failed: package.json, line 1, column 2: "));
  CHECK(fs::is_empty(platform.data() / "builds"));
}

TEST_CASE("a build that does not fit even alone fails with the figures") {
  Platform platform;
  platform.settings()["KARREG_BUILDER_MIN_FREE_BYTES"] = "1099511627776";
  const std::string build = platform.ask_for_build(platform.app(node_app));
  platform.start_builder();
  platform.await_state(build, "failed");
  const std::string message = platform.message(build);
  CHECK(message.starts_with("The build host has "));
  // Source, output and cache; the images of this test have no scratch disk.
  CHECK(message.find(" MiB of free disk space and keeps 1048576 MiB of them; this build may take "
                     "2096 MiB. Tell the platform's operator (builder.min_free_bytes, "
                     "builder.build_disk_bytes), then push again or restart the app.") !=
        std::string::npos);
}

TEST_CASE("builds that do not fit together come one after the other") {
  Platform platform;
  // Once it fits, twice it does not.
  platform.settings()["KARREG_BUILDER_BUILD_DISK_BYTES"] =
      std::to_string(fs::space(platform.data()).available / 10 * 6);
  const std::string app = platform.app(node_app);
  const std::string first = platform.ask_for_build(app, {{"N", "1"}});
  platform.start_builder();
  platform.await_state(first, "prepared");
  const std::string second = platform.ask_for_build(app, {{"N", "2"}});
  eventually("the second one waits", [&] {
    return platform.value("SELECT waits_since IS NOT NULL FROM builds WHERE id = '" + second +
                          "'") == "t";
  });
  // One that needs no room is not held up.
  const std::string app_of_third = platform.app({{"README", ""}});
  platform.await_state(platform.ask_for_build(app_of_third), "failed");
  CHECK(platform.state(second) == "planning");
  platform.play_vm(first, artifact_bytes('a'));
  platform.await_state(first, "succeeded");
  platform.await_state(second, "prepared");
  CHECK(platform.value("SELECT attempts || ' ' || (waits_since IS NULL) FROM builds WHERE id = '" +
                       second + "'") == "0 true");
  const auto log = platform.log_of(app);
  CHECK(std::ranges::count_if(log, [](const auto& line) {
          return line.starts_with("The build host has ") && line.ends_with(" Waiting for them.");
        }) == 1);
}

TEST_CASE("a build does not wait for room for ever") {
  Platform platform;
  platform.settings()["KARREG_BUILDER_BUILD_DISK_BYTES"] =
      std::to_string(fs::space(platform.data()).available / 10 * 6);
  platform.settings()["KARREG_BUILDER_SPACE_WAIT"] = "300ms";
  const std::string app = platform.app(node_app);
  const std::string first = platform.ask_for_build(app, {{"N", "1"}});
  platform.start_builder();
  platform.await_state(first, "prepared");
  const std::string second = platform.ask_for_build(app, {{"N", "2"}});
  platform.await_state(second, "failed");
  CHECK(platform.message(second).find(", and the builds under way (1) may take ") !=
        std::string::npos);
  CHECK(platform.message(second).ends_with(
      " They did not end within 0 s: push again later, or restart the app."));
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

TEST_CASE("artifacts that nothing needs are removed, those that something needs stay") {
  Platform platform;
  const auto made = [&](const std::string& what, const std::string& age = "2 hours") {
    const std::string digest = crypto::sha256_hex(what);
    platform.query("INSERT INTO artifacts (digest, bytes, runtime, plan, created_at) VALUES ('" +
                   digest + "', 1, 'node', '{}', now() - interval '" + age + "')");
    write_file(platform.data() / "artifacts" / digest, "x");
    return digest;
  };
  const auto deployed = [&](const std::string& app, const std::string& digest,
                            const std::string& state) {
    const std::string build = platform.ask_for_build(app);
    platform.query("UPDATE builds SET state = 'succeeded', artifact_digest = '" + digest +
                   "' WHERE id = '" + build + "'");
    platform.query("UPDATE deployments d SET state = '" + state + "'" +
                   (state == "WIP" ? "" : ", artifact_digest = '" + digest + "'") +
                   " FROM builds b WHERE b.deployment = d.uuid AND b.id = '" + build + "'");
    return platform.value("SELECT deployment FROM builds WHERE id = '" + build + "'");
  };
  std::set<std::string> kept;
  std::set<std::string> gone;

  const std::string app = platform.app(node_app);
  gone.insert(made("the sixth version"));
  deployed(app, *gone.begin(), "OK");
  for (const char* version : {"fifth", "fourth", "third", "second", "newest"}) {
    const std::string digest = made(version);
    // Each deployed, then scaled: one version.
    deployed(app, digest, "OK");
    deployed(app, digest, "OK");
    kept.insert(digest);
  }
  const std::string failed = made("of a failed deployment");
  deployed(app, failed, "FAIL");
  gone.insert(failed);
  const std::string under_way = made("of a deployment under way");
  deployed(app, under_way, "WIP");
  kept.insert(under_way);

  const std::string deleted = platform.app(node_app);
  const std::string serving = made("in service until it is torn down");
  const std::string before = made("the version before");
  deployed(deleted, before, "OK");
  platform.query("UPDATE apps SET deleted_at = now(), serving_deployment = '" +
                 deployed(deleted, serving, "OK") + "' WHERE id = '" + deleted + "'");
  kept.insert(serving);
  gone.insert(before);
  kept.insert(made("new, and named by nothing yet", "59 minutes"));
  gone.insert(made("of an app that is forgotten"));

  const std::string orphan = crypto::sha256_hex("an old file without a row");
  const std::string young = crypto::sha256_hex("a new file without a row");
  for (const std::string& digest : {orphan, young})
    write_file(platform.data() / "artifacts" / digest, "x");
  must_run("touch -d '2 hours ago' " + (platform.data() / "artifacts" / orphan).string());

  platform.start_builder();
  const auto files = [&] {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(platform.data() / "artifacts"))
      names.insert(entry.path().filename().string());
    return names;
  };
  std::set<std::string> expected = kept;
  expected.insert(young);
  eventually("the files that nothing needs are gone", [&] { return files() == expected; });
  std::set<std::string> rows;
  for (const auto& row : platform.query("SELECT digest FROM artifacts"))
    rows.insert(row[0].as<std::string>());
  CHECK(rows == kept);
  // Their history stays, without them.
  CHECK(platform.value("SELECT count(*) FROM deployments WHERE state = 'FAIL' AND "
                       "artifact_digest IS NULL") == "1");
  CHECK(gone.size() == 4);
}

TEST_CASE("a build that gives a removed artifact again brings its file back") {
  Platform platform;
  const std::string app = platform.app(node_app);
  const std::string digest = crypto::sha256_hex(artifact_bytes('a'));
  const fs::path file = platform.data() / "artifacts" / digest;
  const std::string first = platform.ask_for_build(app);
  platform.start_builder();
  platform.await_state(first, "prepared");
  platform.play_vm(first, artifact_bytes('a'));
  platform.await_state(first, "succeeded");
  platform.kill_builder();
  platform.query("UPDATE deployments SET state = 'FAIL'");
  platform.query("UPDATE artifacts SET created_at = now() - interval '2 hours'");
  platform.start_builder();
  eventually("it is removed", [&] { return !fs::exists(file); });
  CHECK(platform.value("SELECT count(*) FROM artifacts") == "0");

  const std::string again = platform.ask_for_build(app);
  platform.await_state(again, "prepared");  // nothing to use again
  platform.play_vm(again, artifact_bytes('a'));
  platform.await_state(again, "succeeded");
  CHECK(read_file(file) == artifact_bytes('a'));
  CHECK(platform.value("SELECT artifact_digest FROM builds WHERE id = '" + again + "'") == digest);
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
    // Twice at most for each stage: what ended three builders is given up.
    const auto killed_until = [&](const std::string& wanted) {
      for (int kills = 0; kills < 2 && platform.state(build) != wanted; ++kills) {
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

TEST_CASE("a build that ended three builders is given up, and the others go on") {
  Platform platform;
  const std::string deadly = platform.ask_for_build(platform.app(node_app));
  const std::string other = platform.ask_for_build(platform.app(node_app));
  platform.query(
      "UPDATE builds SET state = 'planning', attempts = 3, lease_until = now() - interval '1 s' "
      "WHERE id = '" +
      deadly + "'");
  platform.query("UPDATE builds SET attempts = 2 WHERE id = '" + other + "'");
  platform.start_builder();
  platform.await_state(deadly, "failed");
  CHECK(platform.message(deadly) ==
        "A builder took this build up 3 times and ended each time before it was done. Push again; "
        "if it happens again, tell the platform's operator.");
  platform.await_state(other, "prepared");
  CHECK(platform.value("SELECT attempts FROM builds WHERE id = '" + other + "'") == "0");
}

TEST_CASE("a builder killed in the middle of a build has used up one of its attempts") {
  Platform platform;
  // Its images never come: it waits for them, in the middle of its work, until it is killed.
  const fs::path waiting = platform.data() / "waiting";
  must_run("mkdir " + waiting.string() + " && mkfifo " + (waiting / "catalogue.json").string());
  platform.settings()["KARREG_IMAGES_DIR"] = waiting.string();
  const std::string build = platform.ask_for_build(platform.app(node_app));
  for (int attempt = 1; attempt <= 3; ++attempt) {
    platform.start_builder();
    eventually("attempt " + std::to_string(attempt), [&] {
      return platform.value("SELECT attempts FROM builds") == std::to_string(attempt);
    });
    platform.kill_builder();
  }
  platform.start_builder();
  platform.await_state(build, "failed");
  CHECK(platform.message(build).starts_with("A builder took this build up 3 times"));
}

TEST_CASE("a builder that was stopped past its lease leaves the disks of the next one alone") {
  Platform platform;
  const std::string build = platform.ask_for_build(platform.app(node_app));
  // The first builder is stopped in the middle of its disks: the template does not come yet.
  const fs::path images = platform.data() / "images";
  const fs::path waiting = platform.data() / "waiting";
  const fs::path pipe = waiting / "blobs/cachetemplate";
  must_run("mkdir -p " + pipe.parent_path().string() + " && mkfifo " + pipe.string() + " && cp " +
           (images / "catalogue.json").string() + " " + waiting.string());
  Environment settings = platform.settings();
  settings["KARREG_IMAGES_DIR"] = waiting.string();
  Daemon first(test::program("karreg-builder"), platform.data() / "first.log");
  first.start(settings);
  eventually("the first builder makes its disks", [&] {
    return run("ls " + (platform.data() / "builds").string() + "/*/output.img").exit_code == 0;
  });
  // Meanwhile a second one takes it, and a VM writes.
  platform.start_builder();
  platform.await_state(build, "prepared");
  platform.query("UPDATE builds SET state = 'running'");
  write_file(platform.output(build), "what the VM wrote");

  feed(pipe, "");
  first.await_log("a build did not get further");
  CHECK(fs::file_size(platform.output(build)) == 17);
  CHECK(must_run("head -c 17 " + platform.output(build).string()) == "what the VM wrote");
  CHECK(platform.state(build) == "running");
  eventually("the first one's folder is gone", [&] {
    const fs::directory_iterator all(platform.data() / "builds");
    return std::distance(begin(all), end(all)) == 1;
  });
}

TEST_CASE("a build that was cancelled under its builder says nothing to its owner") {
  Platform platform;
  const fs::path waiting = platform.data() / "waiting";
  must_run("mkdir " + waiting.string() + " && mkfifo " + (waiting / "catalogue.json").string());
  platform.settings()["KARREG_IMAGES_DIR"] = waiting.string();
  platform.settings()["KARREG_BUILDER_PARALLEL"] = "1";
  const std::string app = platform.app(node_app);
  const std::string cancelled = platform.ask_for_build(app);
  platform.start_builder();
  eventually("it is being planned", [&] { return platform.state(cancelled) == "planning"; });
  platform.query("UPDATE builds SET state = 'failed', lease_until = NULL");
  feed(waiting / "catalogue.json", "{");
  platform.builder().await_log("a build did not get further");
  const std::string next = platform.ask_for_build(app);
  feed(waiting / "catalogue.json", "[");
  platform.await_state(next, "failed");
  CHECK(platform.message(cancelled).empty());
  const auto log = platform.log_of(app);
  CHECK(std::ranges::count_if(
            log, [](const auto& line) { return line.starts_with("Build failed: "); }) == 1);
}

TEST_CASE("what a builder left before it could tell the database is put aside") {
  Platform platform;
  const std::string build = platform.ask_for_build(platform.app(node_app));
  write_file(platform.folder(build) / "of an earlier builder", "x");
  platform.start_builder();
  platform.await_state(build, "prepared");
  CHECK(fs::file_size(platform.output(build)) == 16'777'216);
  eventually("only the new files are there", [&] {
    return must_run("cd " + (platform.data() / "builds").string() +
                    " && find . -mindepth 1 | LC_ALL=C sort") ==
           "./" + build + "\n./" + build + "/output.img\n./" + build + "/source.tar\n";
  });
}

TEST_CASE("a setting that is wrong is named at the start") {
  Platform platform;
  const std::string env = "env -i KARREG_DATABASE_URL=x KARREG_SECRETS_KEY_FILE=/k ";
  const std::string program = test::program("karreg-builder");
  const Ran relative = run(env + "KARREG_DATA_DIR=here " + program);
  CHECK(relative.exit_code == 2);
  CHECK(relative.output == "karreg-builder: setting data.dir: `here` is not an absolute path\n");
  const Ran odd =
      run(env + "KARREG_DATA_DIR=/d KARREG_BUILDER_OUTPUT_MAX_BYTES=1048577 " + program);
  CHECK(odd.output ==
        "karreg-builder: setting builder.output_max_bytes: must be a multiple of 4096\n");
}
