// Jobs in real VMs: one command to its end.
#include <catch2/catch.hpp>

#include "images/guest_vm.hpp"

using namespace karreg::test;
using namespace std::chrono_literals;

namespace {
/// A VM that has been told to run @p job on an artifact with one file.
struct JobVm {
  JobVm(const Images& images, const msg::Config& job, int memory_mb = 256)
      : vm(images, options(images, memory_mb)) {
    vm.attach();
    vm.expect<msg::Hello>(60s);
    vm.send(job);
  }
  GuestVm::Options options(const Images& images, int memory_mb) const {
    app.write("app/file", "of the app");
    auto result = run_vm(images, "python", packed(app, app.path / "app"));
    result.memory_mb = memory_mb;
    return result;
  }
  Folder app;
  GuestVm vm;
};
}  // namespace

TEST_CASE("a job runs once where the app would, and its end is the VM's") {
  const auto images = find_images();
  if (!images) return;
  // Bash, as the user app, with the app's files and its environment.
  auto config =
      a_job("[[ -f file ]] && cat file && echo; echo \"$(id -un) in $PWD, $GREETING\"; exit 3");
  config.env = {{"GREETING", "two words"}};
  JobVm job(*images, config);
  job.vm.expect_phase("starting", 60s);
  const auto exit = job.vm.expect<msg::Exit>(60s);
  CHECK(exit.exit_code == 3);
  CHECK(exit.signal == 0);
  CHECK_FALSE(exit.oom);
  CHECK_FALSE(exit.timed_out);
  CHECK(exit.reason == "the command exited with 3");
  job.vm.expect_log("out: of the app", 20s);
  job.vm.expect_log("out: app in /app, two words", 20s);
  job.vm.expect_end(20s);
}

TEST_CASE("how a job ends is told") {
  const auto images = find_images();
  if (!images) return;
  struct End {
    std::string command;
    std::string reason;
    int exit_code = 0;
    int signal = 0;
    bool oom = false;
  };
  const auto end = GENERATE(values<End>({
      {"echo done", "the command exited with 0"},
      {"kill -TERM $$", "the command was killed by signal 15 (Terminated)", 0, 15},
      {"exec python3 -c 'x = []\nwhile True: x.append(bytearray(1 << 20))'",
       "the command was killed: the VM ran out of memory", 0, 9, true},
  }));
  INFO(end.command);
  JobVm job(*images, a_job(end.command), end.oom ? 128 : 256);
  const auto exit = job.vm.expect<msg::Exit>(120s);
  CHECK(exit.reason == end.reason);
  CHECK(exit.exit_code == end.exit_code);
  CHECK(exit.signal == end.signal);
  CHECK(exit.oom == end.oom);
  job.vm.expect_end(30s);
}

TEST_CASE("a job whose time is over is ended, and is no success") {
  const auto images = find_images();
  if (!images) return;
  struct End {
    std::string command;
    int exit_code;
    int signal;
  };
  const auto end = GENERATE(values<End>({
      {"trap 'echo last words; exit 0' TERM; echo begun; while :; do sleep 0.1; done", 124, 0},
      {"trap '' TERM; echo begun; while :; do sleep 0.1; done", 0, 9},
  }));
  INFO(end.command);
  auto config = a_job(end.command);
  config.job.wall_ms = 2'500;
  JobVm job(*images, config);
  const auto exit = job.vm.expect<msg::Exit>(90s);
  CHECK(exit.timed_out);
  CHECK(exit.reason == "the command was ended: its time limit of 2.5 s was reached");
  CHECK(exit.exit_code == end.exit_code);
  CHECK(exit.signal == end.signal);
  job.vm.expect_log("out: begun", 20s);
  if (end.signal == 0) job.vm.expect_log("out: last words", 20s);
  job.vm.expect_end(30s);
}

TEST_CASE("a job that is stopped has the grace") {
  const auto images = find_images();
  if (!images) return;
  JobVm job(*images,
            a_job("trap 'echo clean; exit 5' TERM; echo begun; while :; do sleep 0.1; done"));
  job.vm.expect_log("out: begun", 60s);
  job.vm.send(msg::Stop{30'000});
  const auto exit = job.vm.expect<msg::Exit>(30s);
  CHECK(exit.reason == "the command was stopped");
  CHECK(exit.exit_code == 5);
  CHECK_FALSE(exit.timed_out);
  job.vm.expect_log("out: clean", 20s);
  job.vm.expect_end(20s);
}
