// Apps in real VMs: own kernel, own init, images of the catalogue.
#include <algorithm>
#include <catch2/catch.hpp>
#include <thread>

#include "images/guest_vm.hpp"

using namespace karreg::test;
using namespace std::chrono_literals;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a node app boots, listens, answers, is adopted by a new agent, and stops") {
  const auto images = find_images();
  if (!images) return;
  Folder app;
  app.write("app/server.js", R"js(
    const http = require('node:http'), fs = require('node:fs'), os = require('node:os');
    fs.writeFileSync('written-by-the-app', 'x');
    console.log('uid', process.getuid(), 'cwd', process.cwd(), 'host', os.hostname());
    console.log('env', process.env.GREETING, process.env.HOME, process.env.PORT);
    console.error('to stderr');
    fs.writeFileSync('/dev/stdout', 'by device\n');
    http.createServer((q, r) => r.end('hello ' + q.url)).listen(process.env.PORT, '0.0.0.0');
    process.on('SIGTERM', () => { console.log('bye'); process.exit(0); });
  )js");
  GuestVm vm(*images, run_vm(*images, "node", packed(app, app.path / "app")));
  vm.attach();
  CHECK_FALSE(vm.expect<msg::Hello>(60s).configured);
  auto config = a_run({"node", "server.js"});
  config.env = {{"GREETING", "two words"}};
  vm.acknowledges = false;
  vm.send(config);
  vm.expect_phase("starting", 20s);
  vm.expect_phase("listening", 90s);
  CHECK(has(vm.get("/path", 30s), "hello /path"));
  vm.expect_log("by device", 20s);
  const auto seen = vm.logs();
  const auto printed = [&](const std::string& line) {
    return std::find(seen.begin(), seen.end(), line) != seen.end();
  };
  CHECK(printed("out: uid 1000 cwd /app host app-1"));
  CHECK(printed("out: env two words /home/app 8080"));
  CHECK(printed("err: to stderr"));

  // Another agent learns where things are, and gets the lines that nobody acknowledged.
  vm.detach();
  const auto first = vm.batches().front();
  const auto count = vm.batches().size();
  vm.acknowledges = true;
  vm.attach();
  const auto hello = vm.expect<msg::Hello>(20s, [](const auto& h) { return h.configured; });
  CHECK(hello.instance_id == "instance-1");
  CHECK(vm.expect<msg::State>(20s).phase == "listening");
  while (vm.batches().size() == count) vm.receive(20s);
  CHECK(vm.batches()[count].seq == 1);
  CHECK(vm.batches()[count].lines.front().text == first.lines.front().text);

  vm.send_line("this is no message");
  vm.send(msg::Stop{20'000});
  vm.expect_phase("stopping", 20s);
  const auto exit = vm.expect<msg::Exit>(30s);
  CHECK(exit.exit_code == 0);
  CHECK(exit.signal == 0);
  CHECK(exit.reason == "the app was stopped");
  vm.expect_log("bye", 20s);
  vm.expect_end(20s);
}

namespace {
void serve_a_static_site(const Images& images) {
  Folder site;
  site.write("app/index.html", "<h1>rock</h1>");
  site.write("app/.git/config", "secret");
  GuestVm vm(images, run_vm(images, "static", packed(site, site.path / "app")));
  vm.attach();
  vm.expect<msg::Hello>(120s);
  vm.send(a_run({"/usr/lib/karreg/serve-static", "/app"}));
  vm.expect_phase("listening", 60s);
  CHECK(has(vm.get("/", 20s), "<h1>rock</h1>"));
  CHECK(has(vm.get("/nothing", 20s), " 404 "));
  CHECK(has(vm.get("/.git/config", 20s), " 404 "));
  vm.send(msg::Stop{10'000});
  CHECK(vm.expect<msg::Exit>(30s).reason == "the app was stopped");
  vm.expect_end(20s);
}
}  // namespace

TEST_CASE("a static site is served from its artifact") {
  if (const auto images = find_images()) serve_a_static_site(*images);
}

TEST_CASE("Debian's stock kernel carries it as well") {
  if (const auto images = find_stock_images()) serve_a_static_site(*images);
}

TEST_CASE("an app that only listens inside its VM is told so; one that ignores SIGTERM is killed") {
  const auto images = find_images();
  if (!images) return;
  Folder app;
  app.write("app/main.py", R"py(
import signal, socket
signal.signal(signal.SIGTERM, signal.SIG_IGN)
s = socket.create_server(("127.0.0.1", 8080))
s.accept()
)py");
  GuestVm vm(*images, run_vm(*images, "python", packed(app, app.path / "app")));
  vm.attach();
  vm.send(a_run({"python3", "main.py"}));
  const auto state = vm.expect<msg::State>(
      90s, [](const auto& s) { return s.phase == "starting" && !s.detail.empty(); });
  CHECK(has(state.detail, "listens on 127.0.0.1:8080 only"));
  CHECK(has(state.detail, "0.0.0.0:8080"));
  vm.send(msg::Stop{500});
  const auto exit = vm.expect<msg::Exit>(30s);
  CHECK(exit.signal == 9);
  vm.expect_end(20s);
}

TEST_CASE("behind a shell that ends at once, an app has its grace all the same") {
  const auto images = find_images();
  if (!images) return;
  Folder app;
  // What it says last goes to stderr: `cat` obeys SIGTERM as well, and its pipe is gone.
  app.write("app/server.sh", R"sh(
finish() { sleep 1; echo clean >&2; exit 0; }
trap finish TERM
echo ready >&2
while :; do sleep 0.1; done
)sh");
  GuestVm vm(*images, run_vm(*images, "static", packed(app, app.path / "app")));
  vm.attach();
  vm.expect<msg::Hello>(60s);
  vm.send(a_run({"/bin/sh", "-c", "bash server.sh | cat"}));
  vm.expect_log("err: ready", 60s);
  SECTION("which ends with its work, not with the time that it may take") {
    vm.send(msg::Stop{60'000});
    CHECK(vm.expect<msg::Exit>(30s).reason == "the app was stopped");
    vm.expect_log("err: clean", 20s);
  }
  SECTION("and no more than that") {
    vm.send(msg::Stop{100});
    CHECK(vm.expect<msg::Exit>(30s).reason == "the app was stopped");
    const auto seen = vm.logs();
    CHECK(std::ranges::count(seen, "err: clean") == 0);
  }
  vm.expect_end(20s);
}

TEST_CASE("how an app fails is told") {
  const auto images = find_images();
  if (!images) return;
  struct Failure {
    std::string pre_run;
    std::vector<std::string> command;
    std::string reason;
    int memory_mb = 256;
  };
  const std::string hungry = "x = []\nwhile True: x.append(bytearray(1 << 20))";
  const auto failure = GENERATE_COPY(values<Failure>({
      {"",
       {"/bin/sh", "-c", "echo last words; exit 3"},
       "the app exited with 3 before it listened on port 8080"},
      {"",
       {"/bin/sh", "-c", "kill -SEGV $$"},
       "the app was killed by signal 11 (Segmentation fault) before it listened on port 8080"},
      {"", {"no-such-program"}, "the app exited with 127 before it listened on port 8080"},
      {"echo prepare; false", {"true"}, "the pre-run hook exited with 1"},
      {"",
       {"python3", "-c", hungry},
       "the app was killed: the VM ran out of memory before it listened on port 8080",
       128},
  }));
  INFO(failure.reason);
  Folder app;
  app.write("app/file", "content");
  auto options = run_vm(*images, "python", packed(app, app.path / "app"));
  options.memory_mb = failure.memory_mb;
  GuestVm vm(*images, options);
  vm.attach();
  auto config = a_run(failure.command);
  config.run.pre_run = failure.pre_run;
  vm.send(config);
  const auto exit = vm.expect<msg::Exit>(120s);
  CHECK(exit.reason == failure.reason);
  CHECK(exit.oom == (failure.memory_mb == 128));
  if (failure.command.front() == "no-such-program")
    vm.expect_log("err: cannot start no-such-program: No such file or directory", 20s);
  if (failure.pre_run.empty() && failure.command.back().starts_with("echo"))
    vm.expect_log("out: last words", 20s);
  vm.expect_end(30s);
}

TEST_CASE("a configuration that is too long is refused aloud") {
  const auto images = find_images();
  if (!images) return;
  Folder app;
  app.write("app/file", "content");
  GuestVm vm(*images, run_vm(*images, "static", packed(app, app.path / "app")));
  vm.attach();
  vm.expect<msg::Hello>(60s);
  auto config = a_run({"true"});
  config.env = {{"LARGE", std::string(msg::max_line_bytes, 'x')}};
  vm.send(config);
  CHECK(vm.expect<msg::Exit>(30s).reason ==
        "a message to the VM was longer than 256 KiB and could not be read; is the environment of "
        "the app that large?");
  vm.expect_end(30s);
}

TEST_CASE("an app lives in a machine with a true clock, without zombies, and gains no rights") {
  const auto images = find_images();
  if (!images) return;
  Folder app;
  app.write("app/server.sh", R"sh(
grep NoNewPrivs /proc/self/status
# Each is left by its parent, and ends as a child of PID 1.
for i in $(seq 50); do ( (echo ended >>/tmp/orphans) & ); done
until [ "$(grep -c ended /tmp/orphans)" = 50 ]; do sleep 0.1; done
while grep -q ') Z ' /proc/[0-9]*/stat 2>/dev/null; do sleep 0.1; done
echo no zombies
while sleep 0.1; do echo "time $(date +%s)"; done
)sh");
  GuestVm vm(*images, run_vm(*images, "static", packed(app, app.path / "app")));
  vm.attach();
  vm.expect<msg::Hello>(60s);
  vm.send(a_run({"/bin/bash", "server.sh"}));
  vm.expect_log("out: NoNewPrivs:\t1", 60s);
  vm.expect_log("out: no zombies", 60s);
  const auto now = [] {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::system_clock::now().time_since_epoch());
  };
  const auto then = now() + 1h;
  vm.send(msg::Time{then.count()});
  const auto seen = [&] {
    std::int64_t time = 0;
    for (const auto& line : vm.logs())
      if (line.starts_with("out: time ")) time = std::stoll(line.substr(10));
    return time;
  };
  const auto until = std::chrono::steady_clock::now() + 30s;
  while (seen() < std::chrono::duration_cast<Seconds>(then).count()) {
    REQUIRE(std::chrono::steady_clock::now() < until);
    vm.receive(20s);
  }
  CHECK(seen() < std::chrono::duration_cast<Seconds>(then + 60s).count());
  vm.send(msg::Stop{1'000});
  vm.expect<msg::Exit>(30s);
  vm.expect_end(20s);
}

TEST_CASE("a flood of output loses its oldest lines, says how many, and harms nobody") {
  const auto images = find_images();
  if (!images) return;
  Folder app;
  app.write("app/flood.py", R"py(
import sys, socket
for i in range(60000): sys.stdout.write("%06d %s\n" % (i, "\x01" * 60))
sys.stdout.write("the last line\n")
sys.stdout.flush()
socket.create_server(("0.0.0.0", 8080)).accept()
)py");
  GuestVm vm(*images, run_vm(*images, "python", packed(app, app.path / "app")));
  vm.attach();
  vm.expect<msg::Hello>(60s);
  vm.acknowledges = false;
  vm.send(a_run({"python3", "flood.py"}));
  // The window fills and the app goes on all the same: it listens after its last line.
  vm.expect_phase("listening", 120s);
  vm.acknowledges = true;
  vm.send(msg::LogAck{vm.batches().back().seq});
  vm.expect_log("the last line", 120s);
  std::uint64_t lines = 0;
  std::uint64_t dropped = 0;
  for (const auto& batch : vm.batches()) {
    lines += batch.lines.size();
    dropped += batch.dropped;
  }
  CHECK(lines + dropped == 60'001);
  CHECK(dropped > 0);
  vm.send(msg::Stop{1'000});
  vm.expect<msg::Exit>(30s);
  vm.expect_end(20s);
}

TEST_CASE("an app's end waits for the agent that was away") {
  const auto images = find_images();
  if (!images) return;
  Folder app;
  app.write("app/file", "content");
  GuestVm vm(*images, run_vm(*images, "static", packed(app, app.path / "app")));
  vm.attach();
  vm.expect<msg::Hello>(60s);
  vm.send(a_run({"/bin/sh", "-c", "echo ready; sleep 1; echo done; exit 4"}));
  vm.expect_log("out: ready", 30s);
  vm.detach();
  // Longer than the guest waits for an agent that is there.
  std::this_thread::sleep_for(8s);
  vm.attach();
  CHECK(vm.expect<msg::Hello>(20s).configured);
  CHECK(vm.expect<msg::Exit>(20s).exit_code == 4);
  vm.expect_log("out: done", 20s);
  vm.expect_end(30s);
}
