// Workers beside an app, in real VMs.
#include <algorithm>
#include <catch2/catch.hpp>

#include "images/guest_vm.hpp"

using namespace karreg::test;
using namespace std::chrono_literals;

namespace {
constexpr const char* web = "/usr/lib/karreg/serve-static /app";

/// A VM whose app is the shell command @p app with @p workers beside it.
struct Scene {
  Scene(const Images& images, const std::string& command, std::vector<msg::Worker> workers,
        int memory_mb = 256)
      : vm(images, options(images, memory_mb)) {
    vm.attach();
    vm.expect<msg::Hello>(60s);
    auto config = a_run({"/bin/bash", "-c", command});
    config.env = {{"GREETING", "two words"}};
    config.run.workers = std::move(workers);
    vm.send(config);
  }
  GuestVm::Options options(const Images& images, int memory_mb) const {
    app.write("app/index.html", "<h1>rock</h1>");
    auto result =
        run_vm(images, memory_mb == 256 ? "static" : "python", packed(app, app.path / "app"));
    result.memory_mb = memory_mb;
    return result;
  }
  auto count(const std::string& line) const {
    const auto lines = vm.logs();
    return std::ranges::count(lines, line);
  }
  /// Where @p line stands in the log; the test fails when it does not.
  auto place(const std::string& line) const {
    const auto lines = vm.logs();
    INFO(line);
    const auto found = std::ranges::find(lines, line);
    REQUIRE(found != lines.end());
    return found - lines.begin();
  }
  Folder app;
  GuestVm vm;
};
}  // namespace

TEST_CASE("workers run beside the app and are started again when they fail; a stop ends all") {
  const auto images = find_images();
  if (!images) return;
  Scene scene(
      *images, web,
      {{"mail", "echo \"$(id -un) in $PWD, $GREETING\"; echo oh no >&2; exit 1"},
       {"queue", "trap 'echo finished; exit 0' TERM; echo waiting; while :; do sleep 0.1; done"},
       {"once", "echo ready; exit 0"}});
  auto& vm = scene.vm;
  vm.expect_phase("listening", 60s);
  vm.expect_log("karreg: worker mail exited with 1, starting again in 2 s", 60s);
  CHECK(scene.count("out (mail): app in /app, two words") == 2);
  CHECK(scene.count("err (mail): oh no") == 2);
  CHECK(scene.count("karreg: worker mail exited with 1, starting again in 1 s") == 1);
  // What it printed is told before its end.
  CHECK(scene.place("err (mail): oh no") <
        scene.place("karreg: worker mail exited with 1, starting again in 1 s"));
  CHECK(scene.count("karreg: worker once exited with 0, and is not started again") == 1);
  CHECK(scene.count("out (once): ready") == 1);
  CHECK(scene.count("out (queue): waiting") == 1);
  CHECK(vm.get("/", 20s).find("<h1>rock</h1>") != std::string::npos);

  vm.send(msg::Stop{30'000});
  vm.expect_phase("stopping", 20s);
  CHECK(vm.expect<msg::Exit>(20s).reason == "the app was stopped");
  vm.expect_log("out (queue): finished", 20s);
  vm.expect_log("karreg: worker queue exited with 0", 20s);
  vm.expect_end(20s);
}

TEST_CASE("a stop has one grace for the app and its workers") {
  const auto images = find_images();
  if (!images) return;
  Scene scene(*images, web, {{"deaf", "trap '' TERM; echo waiting; while :; do sleep 0.1; done"}});
  scene.vm.expect_phase("listening", 60s);
  scene.vm.expect_log("out (deaf): waiting", 20s);
  scene.vm.send(msg::Stop{1'000});
  CHECK(scene.vm.expect<msg::Exit>(20s).reason == "the app was stopped");
  scene.vm.expect_end(20s);
}

TEST_CASE("with the app its workers end") {
  const auto images = find_images();
  if (!images) return;
  // One that has two seconds to finish what it does, and uses less; one that waits to be started.
  Scene scene(*images, "until [ -e /tmp/begun ]; do sleep 0.1; done; exit 3",
              {{"queue",
                "trap 'sleep 0.3; echo finished; exit 0' TERM; touch /tmp/begun; while :; do sleep "
                "0.1; done"},
               {"slow", "exit 1", "always", 3'600'000}});
  const auto exit = scene.vm.expect<msg::Exit>(60s);
  CHECK(exit.exit_code == 3);
  CHECK(exit.reason == "the app exited with 3 before it listened on port 8080");
  scene.vm.expect_log("out (queue): finished", 20s);
  scene.vm.expect_end(20s);
}

TEST_CASE("what a worker leaves behind is killed before it is started again, and nobody else") {
  const auto images = find_images();
  if (!images) return;
  // Leaves a process in its group and, by job control, one in a group of its own.
  Scene scene(*images, web,
              {{"forgetful",
                "for left in $(cat /tmp/left); do [ -d /proc/$left ] && echo still there; done\n"
                "sleep 1000 & echo $! >>/tmp/left; set -m; sleep 1000 & echo $! >>/tmp/left\n"
                "echo $(wc -l </tmp/left) were left; exit 1"},
               {"other", "sleep 1000 & wait", "no"}});
  auto& vm = scene.vm;
  vm.expect_phase("listening", 60s);
  vm.expect_log("karreg: worker forgetful exited with 1, starting again in 2 s", 60s);
  CHECK(scene.count("out (forgetful): 4 were left") == 1);
  CHECK(scene.count("out (forgetful): still there") == 0);
  const auto lines = vm.logs();
  CHECK(std::ranges::none_of(
      lines, [](const std::string& line) { return line.starts_with("karreg: worker other"); }));
  CHECK(vm.get("/", 20s).find("<h1>rock</h1>") != std::string::npos);
  vm.send(msg::Stop{5'000});
  vm.expect<msg::Exit>(20s);
  vm.expect_end(20s);
}

TEST_CASE("a worker that takes too much memory is told so, and the app's end is not taken for it") {
  const auto images = find_images();
  if (!images) return;
  Scene scene(*images, "until [ -e /tmp/told ]; do sleep 0.1; done; exit 7",
              {{"hungry",
                "[ -e /tmp/eaten ] && { touch /tmp/told; exec sleep 1000; }; touch /tmp/eaten\n"
                "exec python3 -c 'x = []\nwhile True: x.append(bytearray(1 << 20))'"}},
              128);
  scene.vm.expect_log(
      "karreg: worker hungry was killed: the VM ran out of memory, starting again in 1 s", 120s);
  const auto exit = scene.vm.expect<msg::Exit>(60s);
  CHECK(exit.reason == "the app exited with 7 before it listened on port 8080");
  CHECK_FALSE(exit.oom);
  scene.vm.expect_end(20s);
}
