// The agent with real libvirt, QEMU, passt and images.
#include <arpa/inet.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "common/wire/json.hpp"
#include "real_agent.hpp"

using namespace karreg;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using test::eventually;
using test::RealAgent;

namespace {
bool healthy(const wire::VmStatus& vm) {
  return vm.healthy;
}
bool exited(const wire::VmStatus& vm) {
  return vm.phase == "exited";
}
bool failed(const wire::VmStatus& vm) {
  return vm.phase == "failed";
}
bool built(const wire::VmStatus& vm) {
  return vm.phase == "built";
}

/// A file system of a few MiB in memory, on a folder.
class SmallDisk {
 public:
  SmallDisk() = default;
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (path_.empty()) return;
    ::umount2(path_.c_str(), MNT_DETACH);
    std::error_code ignored;
    std::filesystem::remove_all(std::filesystem::path(path_).parent_path().parent_path(), ignored);
  }
  void mount(const std::string& path, int mebibytes) {
    std::filesystem::create_directories(path);
    INFO("mounting needs root");
    REQUIRE(::mount("karreg-test", path.c_str(), "tmpfs", 0, options(mebibytes).c_str()) == 0);
    path_ = path;
  }
  void resize(int mebibytes) {
    REQUIRE(::mount("karreg-test", path_.c_str(), "tmpfs", MS_REMOUNT,
                    options(mebibytes).c_str()) == 0);
  }

 private:
  static std::string options(int mebibytes) {
    return "mode=755,size=" + std::to_string(mebibytes) + "m";
  }
  std::string path_;
};

void check_nothing_is_left(const RealAgent& agent) {
  eventually("QEMU and passt are gone", [&] {
    return agent.processes("qemu-system").empty() && agent.processes("passt").empty();
  });
  for (const auto& left : agent.remains()) FAIL_CHECK("left behind: " << left);
}
}  // namespace

TEST_CASE("a VM comes up, survives its agent, and goes without a trace", "[agent]") {
  RealAgent agent;
  auto spec = agent.static_site("instance_site");
  spec.health.path = "/";
  agent.desire({spec});
  agent.start();

  const auto up = agent.wait_for("instance_site", "healthy", healthy);
  CHECK(up.phase == "running");
  CHECK(up.address.starts_with("127.66."));
  CHECK(up.stages.process_ms >= 0);
  CHECK(up.stages.pid1_ms >= up.stages.process_ms);
  CHECK(up.stages.exec_ms >= up.stages.pid1_ms);
  CHECK(up.stages.listening_ms >= up.stages.exec_ms);
  CHECK(up.stages.healthy_ms >= up.stages.listening_ms);
  // The first to connect does not wait until the network has heard of the guest.
  CHECK(up.stages.healthy_ms - up.stages.listening_ms < 3000);
  const auto page = test::get(up.address, "/");
  REQUIRE(page);
  CHECK(page->first == 200);
  CHECK(page->second == "hello from instance_site");
  const auto report = agent.report();
  CHECK((report.accelerator == "tcg" || report.accelerator == "kvm"));
  CHECK_FALSE(report.accelerator_detail.empty());
  CHECK(report.generation > 0);
  CHECK(report.memory_mb > 0);
  const auto qemu = agent.processes("qemu-system");
  REQUIRE(qemu.size() == 1);
  REQUIRE(agent.processes("passt").size() == 1);

  SECTION("killed and started again, the agent takes it over") {
    const std::string first_boot = report.agent_boot;
    agent.kill();
    const auto meanwhile = test::get(up.address, "/");
    REQUIRE(meanwhile);
    CHECK(meanwhile->first == 200);
    agent.start();
    const auto adopted = agent.wait_for("instance_site", "healthy again", healthy);
    CHECK(agent.report().agent_boot != first_boot);
    CHECK(adopted.address == up.address);
    CHECK(adopted.stages.healthy_ms == up.stages.healthy_ms);
    CHECK(agent.processes("qemu-system") == qemu);
    const auto after = test::get(up.address, "/");
    REQUIRE(after);
    CHECK(after->first == 200);
    agent.desire({});
    agent.wait_until_gone("instance_site");
    check_nothing_is_left(agent);
  }

  SECTION("a VM whose process is killed has failed, and is not started again") {
    ::kill(qemu[0], SIGKILL);
    const auto dead = agent.wait_for("instance_site", "failed", failed);
    CHECK_FALSE(dead.healthy);
    CHECK_THAT(dead.detail, Contains("the VM ended without a word"));
    agent.kill();
    agent.start();
    const auto still = agent.wait_for("instance_site", "failed still", failed);
    CHECK(still.detail == dead.detail);
    CHECK(agent.processes("qemu-system").empty());
    agent.desire({});
    agent.wait_until_gone("instance_site");
    check_nothing_is_left(agent);
  }

  SECTION("a VM that ends while no agent watches has failed") {
    agent.kill();
    ::kill(qemu[0], SIGKILL);
    eventually("QEMU is gone", [&] { return agent.processes("qemu-system").empty(); });
    agent.start();
    const auto dead = agent.wait_for("instance_site", "failed", failed);
    // libvirt may list it for a moment, until it has missed the process; then its end is seen.
    CHECK_THAT(dead.detail, Contains("the VM ended while no agent watched it") ||
                                Contains("the VM ended without a word"));
    agent.desire({});
    agent.wait_until_gone("instance_site");
    check_nothing_is_left(agent);
  }

  SECTION("a purge ends it when the agent has gone") {
    agent.stop();
    CHECK(agent.processes("qemu-system") == qemu);
    CHECK(agent.purge() == "1 VMs ended\n");
    check_nothing_is_left(agent);
    CHECK(agent.purge() == "0 VMs ended\n");
  }
}

TEST_CASE("a VM that hangs is unhealthy, and healthy when it goes on", "[agent]") {
  RealAgent agent;
  auto spec = agent.static_site("instance_hangs");
  // Without a path: passt accepts connections for a VM that hangs.
  spec.health.interval_ms = 500;
  spec.health.timeout_ms = 2000;
  agent.desire({spec});
  agent.start();
  agent.wait_for("instance_hangs", "healthy", healthy);
  const auto qemu = agent.processes("qemu-system");
  REQUIRE(qemu.size() == 1);
  ::kill(qemu[0], SIGSTOP);
  const auto hung = agent.wait_for("instance_hangs", "unhealthy",
                                   [](const wire::VmStatus& vm) { return !vm.healthy; });
  CHECK(hung.phase == "running");
  CHECK(hung.detail == "unhealthy: the VM does not answer within 2000 ms");

  SECTION("an agent that starts meanwhile finds it so") {
    agent.kill();
    agent.start();
    const auto still =
        agent.wait_for("instance_hangs", "reported again", [](const auto&) { return true; });
    CHECK_FALSE(still.healthy);
  }

  ::kill(qemu[0], SIGCONT);
  const auto back = agent.wait_for("instance_hangs", "healthy again", healthy);
  CHECK(back.detail.empty());
  agent.desire({});
  agent.wait_until_gone("instance_hangs");
  check_nothing_is_left(agent);
}

TEST_CASE("a VM that finds the host's disk full stands still, and goes on when there is space",
          "[agent]") {
  SmallDisk disk;  // outlives the agent, which ends its VMs
  RealAgent agent;
  disk.mount(agent.state_dir(), 320);
  auto spec =
      agent.shell_app("instance_writes",
                      "dd if=/dev/zero of=/tmp/much bs=1M count=400 conv=fsync && echo written & "
                      "exec /usr/lib/karreg/serve-static /app");
  spec.health.interval_ms = 500;
  spec.health.timeout_ms = 2000;
  agent.desire({spec});
  agent.start();
  agent.wait_for("instance_writes", "stands still", [](const wire::VmStatus& vm) {
    return !vm.healthy && vm.stages.healthy_ms >= 0 &&
           vm.detail ==
               "unhealthy: the host's disk is full: the VM stands still until there is space";
  });
  disk.resize(1500);
  const auto back = agent.wait_for("instance_writes", "healthy again", healthy);
  CHECK(back.phase == "running");
  eventually(
      "nothing of what it wrote is lost",
      [&] {
        const auto lines = agent.lines("instance_writes", "app");
        return std::ranges::find(lines, "written") != lines.end();
      },
      90s);
  agent.desire({});
  agent.wait_until_gone("instance_writes");
  check_nothing_is_left(agent);
}

TEST_CASE("an app that ends by itself is reported with its last lines, once", "[agent]") {
  RealAgent agent;
  agent.desire({agent.shell_app(
      "instance_quits", "for i in $(seq 30); do echo line $i; done; echo oh no >&2; exit 3")});
  agent.start();
  const auto end = agent.wait_for("instance_quits", "exited", exited);
  CHECK(end.detail == "the app exited with 3 before it listened on port 8080");
  REQUIRE(end.last_lines.size() == 20);
  CHECK(std::ranges::count(end.last_lines, "oh no") == 1);
  CHECK(std::ranges::count(end.last_lines, "line 30") == 1);
  const auto lines = agent.lines("instance_quits", "app");
  CHECK(lines.size() == 31);
  CHECK(lines.front() == "line 1");
  // Its end is remembered: an instance lives once.
  agent.kill();
  agent.start();
  const auto again = agent.wait_for("instance_quits", "exited still", exited);
  CHECK(again.detail == end.detail);
  CHECK(again.last_lines == end.last_lines);
  CHECK(agent.processes("qemu-system").empty());
  agent.desire({});
  agent.wait_until_gone("instance_quits");
  check_nothing_is_left(agent);
}

TEST_CASE("workers run beside the app and do it no harm when they fail", "[agent]") {
  RealAgent agent;
  auto spec = agent.static_site("instance_works");
  spec.health.path = "/";
  spec.health.interval_ms = 500;
  spec.run.workers = {
      {"mail", "echo trying; exit 1"},
      {"queue", "trap 'echo finished; exit 0' TERM; echo waiting; while :; do sleep 0.1; done"}};
  agent.desire({spec});
  agent.start();
  agent.wait_for("instance_works", "healthy", healthy);
  const auto seen = [&](const std::string& service, const std::string& line) {
    return std::ranges::count(agent.lines("instance_works", service), line);
  };
  eventually("a worker is started again, twice", [&] { return seen("app", "[mail] trying") >= 3; });
  CHECK(seen("karreg", "worker mail exited with 1, starting again in 1 s") == 1);
  CHECK(seen("karreg", "worker mail exited with 1, starting again in 2 s") == 1);
  CHECK(seen("app", "[queue] waiting") == 1);
  const auto now = agent.status("instance_works");
  REQUIRE(now);
  CHECK(now->healthy);
  CHECK(now->phase == "running");
  const auto page = test::get(now->address, "/");
  REQUIRE(page);
  CHECK(page->second == "hello from instance_works");
  agent.desire({});
  agent.wait_until_gone("instance_works");
  CHECK(seen("app", "[queue] finished") == 1);
  CHECK(seen("karreg", "worker queue exited with 0") == 1);
  check_nothing_is_left(agent);
}

TEST_CASE("a job runs its command, and how that ended outlives the agent", "[agent]") {
  RealAgent agent;
  auto spec =
      agent.job("instance_job",
                "echo $(hostname) as $(id -un); cat index.html; echo; echo oh no >&2; exit 3");
  spec.number = 7;
  agent.desire({spec});
  agent.start();
  const auto end = agent.wait_for("instance_job", "exited", exited);
  CHECK(end.exit.exit_code == 3);
  CHECK(end.exit.signal == 0);
  CHECK_FALSE(end.exit.timed_out);
  CHECK(end.exit.reason == "the command exited with 3");
  CHECK(end.detail == end.exit.reason);
  CHECK(end.address.empty());
  CHECK(end.stages.exec_ms >= 0);
  CHECK(end.stages.healthy_ms == -1);
  CHECK(end.last_lines.size() == 3);
  const auto lines = agent.lines("instance_job", "job");
  for (const char* line : {"job-7 as app", "hello from instance_job", "oh no"})
    CHECK(std::ranges::count(lines, line) == 1);
  CHECK(agent.lines("instance_job", "app").empty());
  agent.kill();
  agent.start();
  const auto again = agent.wait_for("instance_job", "exited still", exited);
  CHECK(again.exit.exit_code == 3);
  CHECK(again.exit.reason == end.exit.reason);
  CHECK(again.last_lines == end.last_lines);
  CHECK(agent.processes("qemu-system").empty());
  agent.desire({});
  agent.wait_until_gone("instance_job");
  check_nothing_is_left(agent);
}

TEST_CASE("a job that ends while no agent is there is told to the next one", "[agent]") {
  RealAgent agent;
  agent.desire({agent.job("instance_alone", "echo begun; sleep 2; echo done; exit 4")});
  agent.start();
  eventually("it has begun", [&] { return !agent.lines("instance_alone", "job").empty(); }, 90s);
  agent.kill();
  // Longer than it has to do: its VM waits with the news.
  std::this_thread::sleep_for(4s);
  agent.start();
  const auto end = agent.wait_for("instance_alone", "exited", exited);
  CHECK(end.exit.exit_code == 4);
  const auto lines = agent.lines("instance_alone", "job");
  CHECK(std::ranges::count(lines, "done") == 1);
  agent.desire({});
  agent.wait_until_gone("instance_alone");
  check_nothing_is_left(agent);
}

TEST_CASE("a job that said how it ended has ended so, also when its VM is gone by then",
          "[agent]") {
  RealAgent agent;
  const auto spec = agent.job("instance_said", "exit 5");
  const std::string folder = agent.state_dir() + "/vms/instance_said";
  test::write(folder + "/spec.json", wire::to_text(spec));
  test::write(folder + "/record.json",
              R"({"accepted_ms":1,"over":false,"status":{"phase":"starting","exit":)"
              R"({"exit_code":5,"reason":"the command exited with 5"}}})");
  agent.desire({spec});
  agent.start();
  const auto end = agent.wait_for("instance_said", "exited", exited);
  CHECK(end.exit.exit_code == 5);
  CHECK(end.detail == "the command exited with 5");
  agent.desire({});
  agent.wait_until_gone("instance_said");
  check_nothing_is_left(agent);
}

TEST_CASE("a job is ended when its time is over, and one that is no longer wanted is stopped",
          "[agent]") {
  RealAgent agent;
  auto slow = agent.job("instance_slow", "echo begun; exec sleep 1000");
  slow.job.wall_ms = 3'000;
  auto unwanted = agent.job("instance_unwanted",
                            "trap 'echo clean; exit 0' TERM; echo begun; "
                            "while :; do sleep 0.1; done");
  agent.desire({slow, unwanted});
  agent.start();
  const auto end = agent.wait_for("instance_slow", "exited", exited);
  CHECK(end.exit.timed_out);
  CHECK(end.exit.signal == SIGTERM);
  CHECK(end.detail == "the command was ended: its time limit of 3 s was reached");
  CHECK(end.last_lines == std::vector<std::string>{"begun"});
  const auto begun = [&] { return agent.lines("instance_unwanted", "job").size() == 1; };
  eventually("the other one has begun", begun, 90s);
  agent.desire({});
  agent.wait_until_gone("instance_slow");
  agent.wait_until_gone("instance_unwanted");
  const auto lines = agent.lines("instance_unwanted", "job");
  CHECK(std::ranges::count(lines, "clean") == 1);
  check_nothing_is_left(agent);
}

TEST_CASE("a job whose command does not begin in time has failed", "[agent]") {
  RealAgent agent;
  auto spec = agent.job("instance_late", "echo too late");
  spec.start_timeout_ms = 1;
  agent.desire({spec});
  agent.start();
  const auto end = agent.wait_for("instance_late", "failed", failed);
  CHECK(end.detail == "its command did not begin within 0 s: the VM did not boot");
  agent.desire({});
  agent.wait_until_gone("instance_late");
  check_nothing_is_left(agent);
}

TEST_CASE("an app that never listens fails with a reason", "[agent]") {
  RealAgent agent;
  auto silent = agent.shell_app("instance_silent", "echo waiting; exec sleep 1000");
  silent.start_timeout_ms = 15'000;
  auto shy = agent.static_site("instance_shy");
  shy.run.pre_run =
      "sed 's/listen 0.0.0.0/listen 127.0.0.1/' /usr/lib/karreg/serve-static > /tmp/shy";
  shy.run.command = {"/bin/sh", "/tmp/shy", "/app"};
  shy.start_timeout_ms = 15'000;
  agent.desire({silent, shy});
  agent.start();
  const auto quiet = agent.wait_for("instance_silent", "failed", failed);
  CHECK(quiet.detail ==
        "it was not ready within 15 s: nothing listens on 0.0.0.0:8080; the app must listen on the "
        "port in the environment variable PORT");
  CHECK(quiet.last_lines == std::vector<std::string>{"waiting"});
  const auto hidden = agent.wait_for("instance_shy", "failed", failed);
  CHECK(hidden.detail ==
        "it was not ready within 15 s: the app listens on 127.0.0.1:8080 only, where nothing "
        "outside its VM can reach it; make it listen on 0.0.0.0:8080");
  agent.desire({});
  agent.wait_until_gone("instance_silent");
  agent.wait_until_gone("instance_shy");
  check_nothing_is_left(agent);
}

TEST_CASE("a missing part is a failure that names it", "[agent]") {
  RealAgent agent;
  auto spec = agent.static_site("instance_incomplete");
  spec.artifact_digest = std::string(64, '0');
  agent.desire({spec});
  agent.start();
  const auto end = agent.wait_for("instance_incomplete", "failed", failed);
  CHECK_THAT(end.detail, Contains("the VM could not be started: the artifact disk /"));
  CHECK_THAT(end.detail, Contains("/artifacts/" + std::string(64, '0') + " is missing"));
  CHECK(agent.processes("passt").empty());
  agent.desire({});
  agent.wait_until_gone("instance_incomplete");
  check_nothing_is_left(agent);
}

TEST_CASE("an artifact whose bytes have changed is not booted", "[agent]") {
  RealAgent agent;
  const auto spec = agent.static_site("instance_damaged");
  {
    std::fstream file(agent.data() + "/artifacts/" + spec.artifact_digest,
                      std::ios::in | std::ios::out);
    file.seekp(5000);
    file.put('!');
  }
  agent.desire({spec});
  agent.start();
  const auto end = agent.wait_for("instance_damaged", "failed", failed);
  CHECK_THAT(end.detail, Contains("the artifact of this app cannot be booted: "));
  CHECK_THAT(end.detail, Contains(" has other bytes than its name says"));
  CHECK_THAT(end.detail, Contains("karreg restart --without-cache"));
  agent.desire({});
  agent.wait_until_gone("instance_damaged");
  check_nothing_is_left(agent);
}

TEST_CASE("an environment that does not fit its message is a failure that says so", "[agent]") {
  RealAgent agent;
  auto spec = agent.static_site("instance_laden");
  for (int i = 0; i < 5; ++i) spec.env["LARGE_" + std::to_string(i)] = std::string(60'000, 'x');
  agent.desire({spec});
  agent.start();
  const auto end = agent.wait_for("instance_laden", "failed", failed);
  CHECK(end.detail ==
        "the environment and the commands are too large: 294 KiB, at most 256 KiB: put large "
        "values into files of the repository");
  // The guest is told to go, and goes by itself.
  eventually("QEMU is gone", [&] { return agent.processes("qemu-system").empty(); });
  CHECK_THAT(agent.log(), !Contains("VM did not end by itself"));
  agent.desire({});
  agent.wait_until_gone("instance_laden");
  check_nothing_is_left(agent);
}

TEST_CASE("a build VM leaves its output and its log", "[agent]") {
  RealAgent agent;
  auto good = agent.build("instance_build", {{"make", "echo building; cp index.html copy.html"}});
  agent.desire({good});
  agent.start();
  const auto end = agent.wait_for("instance_build", "built", built);
  INFO(end.build.reason);
  CHECK(end.build.ok);
  CHECK(end.build.output_bytes > 0);
  CHECK(end.build.output_bytes % 4096 == 0);
  CHECK(end.address.empty());
  const auto lines = agent.lines("instance_build", "build");
  CHECK(std::ranges::count(lines, "building") == 1);
  std::ifstream image(agent.build_folder(good.build_id) + "/output.img", std::ios::binary);
  image.seekg(1024);
  std::string magic(4, '\0');
  image.read(magic.data(), 4);
  CHECK(magic == "\xe2\xe1\xf5\xe0");  // of erofs, at its super block

  auto bad = agent.build("instance_broken", {{"make", "echo about to fail; exit 7"}});
  agent.desire({bad});
  const auto broken = agent.wait_for("instance_broken", "built", built);
  CHECK_FALSE(broken.build.ok);
  CHECK(broken.build.failed_step == "make");
  CHECK_THAT(broken.build.reason, Contains("exited with 7"));
  CHECK(broken.last_lines.size() <= 20);
  agent.desire({});
  agent.wait_until_gone("instance_broken");
  check_nothing_is_left(agent);
}

TEST_CASE("a guest does not reach what listens on the host's loopback", "[agent]") {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  REQUIRE(listener >= 0);
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(listener, reinterpret_cast<const sockaddr*>(&in), sizeof in) == 0);
  REQUIRE(::listen(listener, 8) == 0);
  socklen_t size = sizeof in;
  REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&in), &size) == 0);
  const std::string port = std::to_string(ntohs(in.sin_port));

  RealAgent agent;
  std::string command;
  for (const char* address : {"10.0.2.2", "10.0.2.3", "127.0.0.1", "0.0.0.0"})
    command += std::string("(timeout 5 bash -c 'exec 3<>/dev/tcp/") + address + "/" + port +
               "' 2>/dev/null && echo reached " + address + " || echo no " + address + "); ";
  agent.desire({agent.shell_app("instance_spy", command + "exit 0")});
  agent.start();
  const auto end = agent.wait_for("instance_spy", "exited", exited);
  CHECK(end.last_lines ==
        std::vector<std::string>{"no 10.0.2.2", "no 10.0.2.3", "no 127.0.0.1", "no 0.0.0.0"});
  CHECK(::accept(listener, nullptr, nullptr) == -1);
  ::close(listener);
}

TEST_CASE("what nobody knows is removed once a desired state is there", "[agent]") {
  RealAgent agent;
  test::write(agent.state_dir() + "/vms/instance_scraps/spec.json", "{");
  test::write(agent.state_dir() + "/vms/instance_empty/scratch.qcow2", "x");
  agent.start();
  eventually("the folders are gone", [&] { return agent.remains().empty(); });
}

TEST_CASE("a stop in the middle of a boot is a stop", "[agent]") {
  RealAgent agent;
  agent.start();
  agent.desire({agent.static_site("instance_brief")});
  agent.wait_for("instance_brief", "booting",
                 [](const wire::VmStatus& vm) { return vm.phase == "booting"; });
  const auto begin = std::chrono::steady_clock::now();
  agent.desire({});
  agent.wait_until_gone("instance_brief");
  // It does not wait for the grace of an app that was never started.
  CHECK(std::chrono::steady_clock::now() - begin < 8s);
  check_nothing_is_left(agent);
}
