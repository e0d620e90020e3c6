// Programs that a thread runs and waits for.
#include "common/async/child.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <thread>

#include "support/scratch.hpp"

using namespace karreg;
using namespace std::chrono_literals;

namespace {

Result<Child::Ended> run_shell(Child& child, const std::string& script, const std::string& input,
                               const Child::Answer& answer,
                               std::chrono::milliseconds patience = 10s) {
  return child.run({{"/bin/sh", "-c", script}, {}, patience}, input, answer);
}

const Child::Answer silent = [](const std::string&) { return std::optional<std::string>(""); };

}  // namespace

TEST_CASE("a child is told what its lines ask for, and its end is known") {
  Child child;
  std::vector<std::string> lines;
  const auto ended = run_shell(
      child, "read a; echo \"got $a\"; read b; echo \"got $b\"; cat; echo trouble >&2; exit 3",
      "first\n", [&](const std::string& line) -> std::optional<std::string> {
        lines.push_back(line);
        if (lines.size() == 1) return "second\n";
        return std::nullopt;
      });
  REQUIRE(ended);
  CHECK(lines == std::vector<std::string>{"got first", "got second"});
  CHECK(ended->exit_code == 3);
  CHECK(ended->error_output == "trouble\n");
}

TEST_CASE("a child that takes too long is ended with all that it has started") {
  const test::ScratchFolder scratch;
  Child child;
  const auto file = (scratch / "pid").string();
  const auto ended = run_shell(child, "sleep 100 & echo $! >" + file + "; wait", "", silent, 300ms);
  REQUIRE_FALSE(ended);
  CHECK(ended.error().kind() == ErrorKind::timeout);
  const auto pid = std::stoi(test::read_file(file));
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  // Nobody's child any more: init takes it a moment later.
  while (::kill(pid, 0) == 0 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(10ms);
  CHECK(
      (::kill(pid, 0) != 0 ||
       test::read_file("/proc/" + std::to_string(pid) + "/stat").find(") Z") != std::string::npos));
}

TEST_CASE("a child is ended from another thread, and no further one begins") {
  Child child;
  std::thread stopper;
  const auto ended = run_shell(child, "echo up; sleep 100", "", [&](const std::string&) {
    stopper = std::thread([&] { child.stop(); });
    return std::optional<std::string>("");
  });
  stopper.join();
  REQUIRE_FALSE(ended);
  CHECK(ended.error().message() == "this program stops");
  CHECK_FALSE(run_shell(child, "true", "", silent));
}

TEST_CASE("a child that cannot be started, and one whose output never ends its line, are errors") {
  Child child;
  CHECK_FALSE(child.run({{"/nowhere/program"}, {}, 1s}, "", silent));
  const auto endless = run_shell(child, "exec tr '\\0' x </dev/zero", "", silent);
  REQUIRE_FALSE(endless);
  CHECK(endless.error().kind() == ErrorKind::too_large);
}

TEST_CASE("what is done meanwhile may end the child, and says why") {
  Child child;
  int looks = 0;
  const auto ended = child.run({{"/bin/sh", "-c", "sleep 100"},
                                {},
                                10s,
                                [&]() -> Result<void> {
                                  if (++looks < 3) return ok();
                                  return Error(ErrorKind::conflict, "no longer ours");
                                }},
                               "", silent);
  REQUIRE_FALSE(ended);
  CHECK(ended.error().message() == "no longer ours");
  CHECK(looks == 3);
}
