// Builds in real VMs, and their results booted.
#include <algorithm>
#include <catch2/catch.hpp>

#include "images/workshop.hpp"

using namespace karreg::test;
using namespace std::chrono_literals;
using Mode = Disk::Mode;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a C++ program is built in one VM and runs in another; equal builds are equal bytes") {
  const auto images = find_images();
  if (!images) return;
  Workshop workshop(*images);
  workshop.add_source("server.cpp", R"cpp(
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <string>
    int main() {
      int s = socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in a{};
      a.sin_family = AF_INET;
      a.sin_port = htons(8080);
      bind(s, reinterpret_cast<sockaddr*>(&a), sizeof a);
      listen(s, 16);
      for (;;) {
        int c = accept(s, nullptr, nullptr);
        char b[1024];
        read(c, b, sizeof b);
        std::string t = "HTTP/1.0 200 OK\r\n\r\nbuilt inside";
        write(c, t.data(), t.size());
        close(c);
      }
    })cpp");
  workshop.pack_source();
  const auto config =
      a_build({{"where", "id -u; pwd; test -w /cache; date +%Y; touch /cache/seen-$$"},
               {"compile", "g++ -O1 -o server server.cpp"}});
  std::vector<std::string> logs;
  const auto first = workshop.build(*images, "cpp", config, &logs);
  CHECK(first.reason.empty());
  REQUIRE(first.ok);
  CHECK(first.output_bytes > 0);
  CHECK(first.output_bytes % 4096 == 0);
  CHECK(std::find(logs.begin(), logs.end(), "build: 1000") != logs.end());
  CHECK(std::find(logs.begin(), logs.end(), "build: /app") != logs.end());

  Workshop again(*images);
  again.add_source("server.cpp", "replaced below");
  shell("cp " + workshop.source + " " + again.source);
  const auto second = again.build(*images, "cpp", config);
  REQUIRE(second.ok);
  CHECK(second.output_bytes == first.output_bytes);
  shell("cmp " + workshop.output + " " + again.output);

  GuestVm vm(*images, {{{"image", images->blob(images->runtime("cpp").run), Mode::read_only},
                        {"scratch", images->blob(images->catalogue.scratch_run), Mode::snapshot},
                        {"artifact", workshop.output, Mode::read_only}}});
  vm.attach();
  vm.send(a_run({"/app/server"}));
  vm.expect_phase("listening", 60s);
  CHECK(has(vm.get("/", 20s), "built inside"));
}

TEST_CASE("what a build leaves in the cache is there for the next one") {
  const auto images = find_images();
  if (!images) return;
  Workshop workshop(*images);
  workshop.add_source("file", "x");
  workshop.pack_source();
  CHECK(workshop.build(*images, "static", a_build({{"one", "echo kept > /cache/kept"}})).ok);
  const auto second =
      workshop.build(*images, "static", a_build({{"two", "grep kept /cache/kept"}}));
  CHECK(second.reason.empty());
  CHECK(second.ok);
}

TEST_CASE(
    "a dependency cache that is full is emptied, and blamed by no step that did not fill it") {
  const auto images = find_images();
  if (!images) return;
  Workshop workshop(*images);
  workshop.add_source("file", "x");
  workshop.pack_source();
  shell("truncate -s 64M " + workshop.cache + " && mkfs.ext4 -q -F -m 0 " + workshop.cache);
  workshop.cache_format = "raw";
  const auto filled = workshop.build(
      *images, "static",
      a_build({{"fill", "head -c 100M /dev/zero > /cache/big || true"}, {"fail", "exit 3"}}));
  CHECK(filled.failed_step == "fail");
  CHECK(filled.reason == "the command exited with 3");

  std::vector<std::string> logs;
  const auto emptied =
      workshop.build(*images, "static",
                     a_build({{"look", "test ! -e /cache/big; touch /cache/new; exit 3"}}), &logs);
  CHECK(emptied.reason == "the command exited with 3");
  CHECK(std::ranges::count(logs, "karreg: the dependency cache is over 80 % full and is emptied") ==
        1);
  const auto good = workshop.build(*images, "static", a_build({{"look", "test -e /cache/new"}}));
  CHECK(good.reason.empty());
  CHECK(good.ok);

  const auto blamed =
      workshop.build(*images, "static", a_build({{"fill", "head -c 100M /dev/zero > /cache/big"}}));
  CHECK(blamed.reason == "no space left on the dependency cache disk (64 MiB)");
}

TEST_CASE("a dependency cache that cannot be read is made anew") {
  const auto images = find_images();
  if (!images) return;
  Workshop workshop(*images);
  workshop.add_source("file", "x");
  workshop.pack_source();
  shell("rm " + workshop.cache + " && truncate -s 64M " + workshop.cache);
  workshop.cache_format = "raw";
  std::vector<std::string> logs;
  CHECK(workshop.build(*images, "static", a_build({{"one", "echo kept > /cache/kept"}}), &logs).ok);
  CHECK(std::ranges::count(logs, "karreg: the dependency cache cannot be read and is made anew") ==
        1);
  CHECK(workshop.build(*images, "static", a_build({{"two", "grep kept /cache/kept"}})).ok);
}

TEST_CASE("how a build fails is told") {
  const auto images = find_images();
  if (!images) return;
  struct Failure {
    std::string command;
    std::string step;
    std::string reason;
  };
  const auto failure = GENERATE(values<Failure>({
      {"echo going wrong >&2; exit 3", "the step", "the command exited with 3"},
      {"false | true", "the step", "the command exited with 1"},
      {"setsid sleep 1000 & sleep 1000", "the step",
       "the time limit of 5 s for a build was reached"},
      {"bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 1000", "the step",
       "the time limit of 5 s for a build was reached"},
      {"head -c 1100M /dev/zero > big; rm big; false", "the step",
       "no space left on the build disk (1 GiB)"},
      {"head -c 1100M /dev/zero > big || true", "packing the app",
       "no space left on the build disk (1 GiB)"},
      {"mkdir x; head -c 70M /dev/urandom > x/y", "packing the app",
       "the built app needs 70 MiB, artifacts may have 64 MiB"},
      {"tail /dev/zero", "the step", "the command was killed: the VM ran out of memory"},
      {"cd /; rm -rf /app/* ; rmdir /app || true; chmod 0 /app; exit 1", "the step",
       "the command exited with 1"},
  }));
  INFO(failure.command);
  Workshop workshop(*images, 64);
  workshop.add_source("file", "x");
  workshop.pack_source();
  auto config = a_build({{"the step", failure.command}});
  auto options = workshop.vm(*images, "static");
  if (has(failure.reason, "time limit")) config.build.wall_ms = 5'000;
  if (has(failure.reason, "no space")) {
    const std::string small = workshop.folder.path / "small.img";
    shell("truncate -s 1G " + small + " && mkfs.ext4 -q -m 0 -O ^has_journal " + small);
    options.disks[1].path = small;
  }
  GuestVm vm(*images, options);
  vm.attach();
  vm.send(config);
  const auto result = vm.expect<msg::BuildResult>(300s);
  CHECK_FALSE(result.ok);
  CHECK(result.failed_step == failure.step);
  CHECK(result.reason == failure.reason);
  vm.expect_end(60s);
}

TEST_CASE("a build is cancelled by stop") {
  const auto images = find_images();
  if (!images) return;
  Workshop workshop(*images);
  workshop.add_source("file", "x");
  workshop.pack_source();
  GuestVm vm(*images, workshop.vm(*images, "static"));
  vm.attach();
  vm.send(a_build({{"long", "echo started; sleep 1000"}}));
  vm.expect_log("started", 60s);
  vm.send(msg::Stop{1'000});
  const auto result = vm.expect<msg::BuildResult>(30s);
  CHECK_FALSE(result.ok);
  CHECK(result.reason == "the build was cancelled");
  vm.expect_end(30s);
}

TEST_CASE("a source disk that is no archive fails the build") {
  const auto images = find_images();
  if (!images) return;
  Workshop workshop(*images);
  workshop.folder.write("source.tar", std::string(8192, 'x'));
  const auto result = workshop.build(*images, "static", a_build({{"never", "true"}}));
  CHECK_FALSE(result.ok);
  CHECK(result.failed_step == "unpacking the source");
}
