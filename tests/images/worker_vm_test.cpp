// Workers beside an app, and jobs, in real VMs.
#include <algorithm>
#include <catch2/catch.hpp>

#include "images/guest_vm.hpp"

using namespace karreg::test;
using namespace std::chrono_literals;
using Mode = Disk::Mode;

namespace {

GuestVm::Options a_vm(const Images& images, const std::string& artifact) {
  return {{{"image", images.blob(images.runtime("python").run), Mode::read_only},
           {"scratch", images.blob(images.catalogue.scratch_run), Mode::snapshot},
           {"artifact", artifact, Mode::read_only}}};
}

auto count(const std::vector<std::string>& lines, const std::string& line) {
  return std::ranges::count(lines, line);
}

/// A job VM that has been told its command.
struct JobVm {
  Folder app;
  GuestVm vm;
  JobVm(const Images& images, const std::string& command, std::int64_t wall_ms)
      : vm(images, a_vm(images, with_a_file())) {
    vm.attach();
    vm.expect<msg::Hello>(60s);
    auto config = a_job(command, wall_ms);
    config.env = {{"GREETING", "two words"}};
    vm.send(config);
  }

 private:
  std::string with_a_file() {
    app.write("app/file", "content");
    return packed(app, app.path / "app");
  }
};

}  // namespace

TEST_CASE("workers run beside the app, are started again, and end with it") {
  const auto images = find_images();
  if (!images) return;
  Folder app;
  app.write("app/web.py", R"py(
import signal, socket, sys, os
def bye(*_):
    print("web says bye", flush=True); sys.exit(0)
signal.signal(signal.SIGTERM, bye)
s = socket.create_server(("0.0.0.0", 8080))
while True:
    c, _ = s.accept(); c.recv(100); c.sendall(b"HTTP/1.0 200 OK\r\n\r\nweb"); c.close()
)py");
  app.write("app/steady.sh",
            "trap 'echo steady says bye; exit 0' TERM\n"
            "echo steady works as $(id -u) in $(pwd) with $GREETING\n"
            "while :; do sleep 0.1; done\n");
  app.write("app/failing.sh",
            "echo failing >&2\n"
            "sleep 1000 & setsid sleep 1001 &\n"
            "ps -A >/dev/null 2>&1; n=0\n"
            "for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline 2>/dev/null) in "
            "'sleep 1000 ') n=$((n+1));; esac; done\n"
            "echo left behind: $((n-1))\n"
            "exit 3\n");
  GuestVm vm(*images, a_vm(*images, packed(app, app.path / "app")));
  vm.attach();
  vm.expect<msg::Hello>(60s);
  auto config = a_run({"python3", "web.py"});
  config.env = {{"GREETING", "two words"}};
  config.run.workers = {{"steady", "exec sh steady.sh", "on-failure", 1000},
                        {"failing", "sh failing.sh", "on-failure", 200},
                        {"once", "echo once", "on-failure", 1000},
                        {"again", "echo again", "always", 500}};
  vm.send(config);
  vm.expect_phase("listening", 90s);
  vm.expect_log("steady/out: steady works as 1000 in /app with two words", 30s);
  vm.expect_log("failing/err: failing", 30s);
  vm.expect_log("karreg: worker failing exited with 3, starting again in 200 ms", 30s);
  vm.expect_log("karreg: worker failing exited with 3, starting again in 1 s", 30s);
  vm.expect_log("karreg: worker failing exited with 3, starting again in 2 s", 30s);
  vm.expect_log("karreg: worker once exited with 0, and is not started again", 30s);
  vm.expect_log("karreg: worker again exited with 0, starting again in 500 ms", 30s);
  const auto seen = vm.logs();
  CHECK(count(seen, "failing/out: left behind: 0") >= 3);
  CHECK(count(seen, "failing/out: left behind: 1") == 0);
  CHECK(count(seen, "once/out: once") == 1);
  CHECK(vm.get("/", 30s).ends_with("web"));
  vm.send(msg::Stop{20'000});
  const auto exit = vm.expect<msg::Exit>(30s);
  CHECK(exit.exit_code == 0);
  CHECK(exit.reason == "the app was stopped");
  vm.expect_log("out: web says bye", 20s);
  vm.expect_log("steady/out: steady says bye", 20s);
  CHECK(count(vm.logs(), "steady/out: steady works as 1000 in /app with two words") == 1);
  vm.expect_end(20s);
}

TEST_CASE("an app that ends takes its workers along, soon, even one that does not want to go") {
  const auto images = find_images();
  if (!images) return;
  Folder app;
  app.write("app/file", "content");
  GuestVm vm(*images, a_vm(*images, packed(app, app.path / "app")));
  vm.attach();
  vm.expect<msg::Hello>(60s);
  auto config = a_run({"/bin/sh", "-c", "sleep 2; exit 5"});
  config.run.workers = {
      {"deaf", "trap '' TERM; echo deaf; while :; do sleep 1; done", "always", 0},
      {"kind", "trap 'echo finished; exit' TERM; while :; do sleep 0.1; done", "always", 0}};
  vm.send(config);
  vm.expect_log("deaf/out: deaf", 60s);
  const auto exit = vm.expect<msg::Exit>(60s);
  CHECK(exit.exit_code == 5);
  CHECK(exit.reason == "the app exited with 5 before it listened on port 8080");
  vm.expect_log("kind/out: finished", 20s);
  vm.expect_end(20s);
}

TEST_CASE("a job prints, ends, and says how") {
  const auto images = find_images();
  if (!images) return;
  JobVm job(*images,
            "echo $GREETING, $(cat file), $(id -u), ${PORT:-no port}; echo bad >&2; exit 3",
            60'000);
  job.vm.expect_phase("starting", 60s);
  const auto exit = job.vm.expect<msg::Exit>(60s);
  CHECK(exit.exit_code == 3);
  CHECK_FALSE(exit.timed_out);
  CHECK(exit.reason == "the command exited with 3");
  job.vm.expect_log("out: two words, content, 1000, no port", 20s);
  job.vm.expect_log("err: bad", 20s);
  job.vm.expect_end(20s);
}

TEST_CASE("a job that takes longer than it may is ended, and says so") {
  const auto images = find_images();
  if (!images) return;
  JobVm job(*images, "trap '' TERM; sleep 1000 & while :; do sleep 1; done", 2'000);
  const auto exit = job.vm.expect<msg::Exit>(60s);
  CHECK(exit.timed_out);
  CHECK(exit.signal == 9);
  CHECK(exit.reason == "the command took longer than its limit of 2 s");
  job.vm.expect_end(20s);
}

TEST_CASE("a job that is stopped ends") {
  const auto images = find_images();
  if (!images) return;
  JobVm job(*images, "echo began; exec sleep 1000", 600'000);
  job.vm.expect_log("out: began", 60s);
  job.vm.send(msg::Stop{10'000});
  const auto exit = job.vm.expect<msg::Exit>(30s);
  CHECK(exit.reason == "the command was stopped");
  CHECK(exit.signal == 15);
  job.vm.expect_end(20s);
}

TEST_CASE("a job whose memory is not enough says so") {
  const auto images = find_images();
  if (!images) return;
  JobVm job(*images, "exec python3 -c 'x = []\nwhile True: x.append(bytearray(1 << 20))'", 120'000);
  const auto exit = job.vm.expect<msg::Exit>(120s);
  CHECK(exit.oom);
  CHECK(exit.reason == "the command was killed: the VM ran out of memory");
  job.vm.expect_end(20s);
}
