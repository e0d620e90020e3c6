// Which images a build needs, and what happens where one is missing: karreg-builder as a process,
// with a program in the place of images/build.
#include <algorithm>
#include <set>

#include "common/json.hpp"
#include "platform.hpp"
#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::test;

namespace {

bool contains(const std::vector<std::string>& lines, const std::string& beginning) {
  return std::ranges::any_of(lines, [&](const auto& line) { return line.starts_with(beginning); });
}

const std::map<std::string, std::string> php_app = {{"index.php", "<?php echo 1;"}};

/// A program that is called as images/build is, counts its calls, and does @p then.
void image_command(Platform& platform, const std::string& then) {
  const auto program = platform.data() / "make-images";
  write_file(program, "#!/bin/sh\necho \"$*\" >>" + (platform.data() / "calls").string() +
                          "\necho 'packages are fetched' >&2\n" + then);
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  platform.settings()["KARREG_IMAGES_COMMAND"] = program.string();
}

/// Shell: the catalogue gets the runtime @p name.
std::string adds_runtime(const Platform& platform, const std::string& name) {
  const std::string file = (platform.data() / "images/catalogue.json").string();
  return "sed 's/\"runtimes\":{/\"runtimes\":{\"" + name + "\":{\"run\":{\"digest\":\"" + name +
         "-run\"},\"build\":{\"digest\":\"" + name + "-build\"}},/' " + file + " >" + file +
         ".new && mv " + file + ".new " + file + "\n";
}

std::string adds_php(const Platform& platform) {
  return adds_runtime(platform, "php");
}

/// What follows the runtime and its `+`: printf 'jq\n\n' | sha256sum
const std::string name_of_jq = "90a7f60dde95";

}  // namespace

TEST_CASE("the first app of a runtime has its image made, and reads how that goes") {
  Platform platform;
  image_command(platform, adds_php(platform));
  const std::string app = platform.app(php_app);
  const std::string build = platform.ask_for_build(app);
  platform.start_builder();
  platform.await_state(build, "prepared");
  CHECK(platform.value("SELECT run_image FROM builds") == "php-run");
  CHECK(read_file(platform.data() / "calls") ==
        "add php --out " + (platform.data() / "images").string() + "\n");
  const auto log = platform.log_of(app);
  CHECK(contains(log, "This is the first app here that needs php: "));
  CHECK(contains(log, "packages are fetched"));

  const std::string next = platform.ask_for_build(platform.app(php_app));
  platform.await_state(next, "prepared");
  CHECK(std::ranges::count(read_file(platform.data() / "calls"), '\n') == 1);
}

TEST_CASE("a lease is kept for as long as the making of an image takes") {
  Platform platform;
  // Longer than a lease, which is a second here.
  image_command(platform, "sleep 3\n" + adds_php(platform));
  const std::string build = platform.ask_for_build(platform.app(php_app));
  platform.start_builder();
  platform.await_state(build, "prepared");
  CHECK(platform.value("SELECT attempts FROM builds") == "0");
  CHECK(std::ranges::count(read_file(platform.data() / "calls"), '\n') == 1);
}

TEST_CASE("an image that cannot be made fails the build with what its program said last") {
  Platform platform;
  image_command(platform, "echo 'no space left' >&2\nexit 1\n");
  const std::string build = platform.ask_for_build(platform.app(php_app));
  platform.start_builder();
  platform.await_state(build, "failed");
  CHECK(platform.message(build) ==
        "The image for php could not be made: no space left. Tell the platform's operator.");
}

TEST_CASE(
    "packages of Debian that an app asks for are said to the program, and theirs is the image") {
  Platform platform;
  const std::string with_jq = "static+" + name_of_jq;
  image_command(platform, adds_runtime(platform, with_jq));
  const auto files = std::map<std::string, std::string>{{"index.html", ""}, {"Aptfile", "jq\n"}};
  const std::string build = platform.ask_for_build(platform.app(files));
  platform.start_builder();
  platform.await_state(build, "prepared");
  CHECK(read_file(platform.data() / "calls") ==
        "add static --packages=jq --out " + (platform.data() / "images").string() + "\n");
  CHECK(platform.value("SELECT runtime FROM builds") == with_jq);
  CHECK(platform.value("SELECT run_image FROM builds") == with_jq + "-run");
}

TEST_CASE("packages that Debian does not have are the pusher's to mend") {
  Platform platform;
  image_command(platform, "echo 'Debian has no package jqq' >&2\nexit 5\n");
  const std::string build =
      platform.ask_for_build(platform.app({{"index.html", ""}, {"Aptfile", "jqq\n"}}));
  platform.start_builder();
  platform.await_state(build, "failed");
  CHECK(platform.message(build) == "Debian has no package jqq");
}

TEST_CASE("an operator who makes no images for packages of apps has them refused") {
  Platform platform;
  image_command(platform, "exit 1\n");
  platform.settings()["KARREG_IMAGES_PACKAGES"] = "false";
  const std::string build =
      platform.ask_for_build(platform.app({{"index.html", ""}, {"Aptfile", "jq\n"}}));
  platform.start_builder();
  platform.await_state(build, "failed");
  CHECK(platform.message(build).starts_with(
      "This app asks for packages of Debian, and the operator"));
  CHECK_FALSE(std::filesystem::exists(platform.data() / "calls"));
}

TEST_CASE("without the program the operator is named, and what to do") {
  Platform platform;
  const std::string build = platform.ask_for_build(platform.app(php_app));
  platform.start_builder();
  platform.await_state(build, "failed");
  CHECK(platform.message(build) ==
        "The platform has no image for php yet. Its operator has to make it: images/build add php; "
        "or let builders do it (images.command).");
}

TEST_CASE("a site is built on one image and runs on another") {
  Platform platform;
  const std::string app = platform.app(
      {{"package.json", R"({"devDependencies":{"vite":"1"},"scripts":{"build":"vite build"}})"}});
  const std::string build = platform.ask_for_build(app);
  platform.start_builder();
  platform.await_state(build, "prepared");
  CHECK(platform.value("SELECT runtime FROM builds") == "static");
  CHECK(platform.value("SELECT run_image FROM builds") == "static-run");
  CHECK(platform.value("SELECT plan->>'build_runtime' FROM builds") == "node");
}

TEST_CASE("a plan that cannot be carried out here fails with the reason, after what was found") {
  Platform platform;
  const std::string app =
      platform.app({{"package.json", R"({"engines":{"node":"8"},"main":"i.js"})"}, {"i.js", ""}});
  const std::string build = platform.ask_for_build(app);
  platform.start_builder();
  platform.await_state(build, "failed");
  CHECK(platform.message(build).starts_with(
      "engines.node of package.json asks for Node.js 8, which cannot be had here. There are: "));
  CHECK(contains(platform.log_of(app), "Detected Node.js (package.json)."));
}

TEST_CASE("a build's time is the platform's limit, or the shorter one of its owner") {
  Platform platform;
  platform.settings()["KARREG_BUILDER_WALL_MS"] = "60000";
  const std::string app = platform.app({{"index.html", ""}});
  platform.start_builder();
  for (const auto& [limit, wall] : {std::pair{"", "60000"}, {"30s", "30000"}, {"2h", "60000"}}) {
    INFO(limit);
    const std::string build =
        platform.ask_for_build(app, {{"CC_BUILD_TIME_LIMIT", limit}, {"OTHER", limit}}, false);
    platform.await_state(build, "prepared");
    CHECK(platform.value("SELECT plan->>'wall_ms' FROM builds WHERE id = '" + build + "'") == wall);
  }
}

namespace {

/// `karreg-builder images-in-use` with the settings of @p platform.
Ran ask_for_images_in_use(Platform& platform) {
  std::string line;
  for (const auto& [name, value] : platform.settings()) line += name + "='" + value + "' ";
  return run(line + program("karreg-builder") + " images-in-use 2>/dev/null");
}

std::set<std::string> images_in_use(Platform& platform) {
  const Ran asked = ask_for_images_in_use(platform);
  REQUIRE(asked.exit_code == 0);
  return nlohmann::json::parse(asked.output).at("images_in_use").get<std::set<std::string>>();
}

}  // namespace

TEST_CASE("an image is in use while something boots it or may boot it yet, and no longer") {
  Platform platform;
  const std::string app = platform.app({{"package.json", R"({"scripts":{"start":"node a.js"}})"}});
  const auto build_on = [&](const std::string& image, const std::string& state) {
    const std::string build = platform.ask_for_build(app);
    platform.query("UPDATE builds SET run_image = '" + image + "', state = '" + state +
                   "' WHERE id = '" + build + "'");
    // What the scheduler writes when it asks for the build.
    platform.query(
        "UPDATE deployments d SET build_id = b.id FROM builds b WHERE d.uuid = b.deployment");
    return build;
  };
  const auto end = [&](const std::string& build, const std::string& state) {
    platform.query("UPDATE deployments SET state = '" + state +
                   "', phase = 'ended' WHERE build_id = '" + build + "'");
  };
  CHECK(images_in_use(platform).empty());

  platform.ask_for_build(app);  // not planned yet: it has none
  build_on("of-an-open-build", "running");
  build_on("of-a-deployment-that-starts", "succeeded");
  end(build_on("of-a-failed-deployment", "failed"), "FAIL");
  const std::string first = build_on("of-the-first-version", "succeeded");
  end(first, "OK");
  const std::string second = build_on("of-the-second-version", "succeeded");
  end(second, "OK");
  const auto serve = [&](const std::string& build) {
    platform.query(
        "UPDATE apps SET serving_deployment = (SELECT deployment FROM builds WHERE id = '" + build +
        "')");
  };
  using Digests = std::set<std::string>;
  serve(first);
  CHECK(images_in_use(platform) ==
        Digests{"of-an-open-build", "of-a-deployment-that-starts", "of-the-first-version"});

  // The first version drains: its instance is there until the agent says that it is gone.
  platform.query("INSERT INTO hosts (id, memory_mb, vcpus, last_seen) VALUES ('h', 1, 1, now())");
  platform.query(
      "INSERT INTO instances (id, app_id, deployment, kind, number, host_id, flavor, wanted) "
      "SELECT 'i', app_id, deployment, 'run', 0, 'h', 'pico', false FROM builds WHERE id = '" +
      first + "'");
  serve(second);
  CHECK(images_in_use(platform) == Digests{"of-an-open-build", "of-a-deployment-that-starts",
                                           "of-the-first-version", "of-the-second-version"});
  platform.query("UPDATE instances SET ended_at = now()");
  CHECK(images_in_use(platform) ==
        Digests{"of-an-open-build", "of-a-deployment-that-starts", "of-the-second-version"});

  // A roll brought it onto another image.
  platform.query("UPDATE deployments SET run_image = 'of-a-roll' WHERE build_id = '" + second +
                 "'");
  CHECK(images_in_use(platform) ==
        Digests{"of-an-open-build", "of-a-deployment-that-starts", "of-a-roll"});
  platform.query("UPDATE deployments SET run_image = NULL");

  // A new size of the version in service has a deployment of its own, and the same build.
  platform.query(
      "INSERT INTO deployments (uuid, app_id, number, action, cause, author, flavor, state, phase, "
      "build_id) VALUES ('scaled', '" +
      app + "', 100, 'UPSCALE', 'Scaling', 'a', 'pico', 'OK', 'ended', '" + second + "')");
  platform.query("UPDATE apps SET serving_deployment = 'scaled'");
  CHECK(images_in_use(platform).contains("of-the-second-version"));
}

TEST_CASE("where the database is away no list of images is printed") {
  Platform platform;
  platform.settings()["KARREG_DATABASE_URL"] = "host=" + platform.data().string() + " dbname=none";
  const Ran asked = ask_for_images_in_use(platform);
  CHECK(asked.exit_code != 0);
  CHECK(asked.output.empty());
}
