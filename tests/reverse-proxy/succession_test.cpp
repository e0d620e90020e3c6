#include "reverse-proxy/master/succession.hpp"

#include <catch2/catch.hpp>

using namespace karreg::proxy;
using namespace std::chrono_literals;
using Do = Succession::Do;

namespace {

const Succession::Time start{};

/// What is to be done, in words: "start 1, warn".
std::string told(const Succession::Actions& actions) {
  static const std::map<Do, std::string> names{
      {Do::start, "start"},         {Do::serve, "serve"}, {Do::step_aside, "step aside"},
      {Do::come_back, "come back"}, {Do::leave, "leave"}, {Do::terminate, "terminate"},
      {Do::kill, "kill"},           {Do::check, "check"}, {Do::exec, "exec"},
      {Do::warn, "warn"},           {Do::exit, "exit"}};
  std::string text;
  for (const auto& action : actions) {
    if (!text.empty()) text += ", ";
    text += names.at(action.what);
    if (action.process != 0) text += " " + std::to_string(action.process);
    if (action.what == Do::exit) text += " with " + std::to_string(action.code);
  }
  return text;
}

/// Process 1 serves.
Succession serving() {
  Succession master({});
  CHECK(told(master.begin(start)) == "start 1");
  CHECK(told(master.ready(1, start)) == "serve 1");
  CHECK(told(master.serves(1, start)).empty());
  return master;
}

/// What the master is after an exec while process 1 served.
Succession upgraded() {
  Succession master({});
  master.adopt(2, 1, {});
  CHECK(told(master.begin(start)) == "start 2");
  return master;
}

}  // namespace

TEST_CASE("an upgrade: the old one steps aside before the new one serves, and leaves after") {
  auto before = serving();
  CHECK(told(before.upgrade_wanted()) == "check");
  CHECK(told(before.checked(0)) == "exec");

  auto master = upgraded();
  CHECK(told(master.ready(2, start)) == "step aside 1");
  CHECK(told(master.is_aside(1, start)) == "serve 2");
  CHECK(told(master.serves(2, start)) == "leave 1");
  CHECK(master.serving() == 2);
  CHECK(master.leaving() == std::set<int>{1});
  CHECK(told(master.ended(1, 0, start)).empty());
  CHECK(master.leaving().empty());
}

TEST_CASE("a program that is not fit is not become") {
  auto master = serving();
  CHECK(told(master.upgrade_wanted()) == "check");
  CHECK(told(master.upgrade_wanted()) == "warn");
  CHECK(told(master.checked(2)) == "warn");
  CHECK(told(master.upgrade_wanted()) == "check");
}

TEST_CASE("whatever ends the new process, the old one goes on under the proxy's name") {
  SECTION("before it is ready") {
    auto master = upgraded();
    CHECK(told(master.ended(2, 9, start)) == "warn");
    CHECK(told(master.upgrade_wanted()) == "check");
  }
  SECTION("while the old one steps aside") {
    auto master = upgraded();
    (void)master.ready(2, start);
    CHECK(told(master.ended(2, 9, start)) == "warn");
    CHECK(told(master.is_aside(1, start)) == "come back 1");
  }
  SECTION("while it loads the routes") {
    auto master = upgraded();
    (void)master.ready(2, start);
    (void)master.is_aside(1, start);
    CHECK(told(master.ended(2, 139, start)) == "warn, come back 1");
    CHECK(master.serving() == 1);
  }
  SECTION("it takes too long") {
    auto master = upgraded();
    const auto by = master.next();
    CHECK(by == start + Succession::Times{}.ready);
    CHECK(told(master.pass(by)) == "warn, kill 2");
    CHECK(told(master.ended(2, 137, by)) == "warn");
    CHECK(master.next() == Succession::Time::max());
  }
  SECTION("the old one cannot step aside") {
    auto master = upgraded();
    (void)master.ready(2, start);
    CHECK(told(master.stays(1, "the broker is away")) == "warn, kill 2");
    CHECK(told(master.ended(2, 137, start)) == "warn");
  }
}

TEST_CASE("an old one that dies during the upgrade does not hold up the new one") {
  SECTION("before the new one is ready") {
    auto master = upgraded();
    CHECK(told(master.ended(1, 139, start)) == "warn");
    CHECK(told(master.ready(2, start)) == "serve 2");
    CHECK(told(master.serves(2, start)).empty());
  }
  SECTION("while it steps aside") {
    auto master = upgraded();
    (void)master.ready(2, start);
    CHECK(told(master.ended(1, 139, start)) == "warn, serve 2");
  }
}

TEST_CASE(
    "a serving process that dies is started again, with growing pauses when it dies at once") {
  auto master = serving();
  const auto later = start + 1h;
  CHECK(told(master.ended(1, 139, later)) == "warn");
  CHECK(master.next() == later);
  CHECK(told(master.pass(later)) == "start 2");
  (void)master.ready(2, later);
  (void)master.serves(2, later);
  auto pause_after_death = [&](int process, int code) {
    (void)master.ended(process, code, later);
    const auto pause = master.next() - later;
    CHECK(told(master.pass(later + pause)) == "start " + std::to_string(process + 1));
    return pause;
  };
  CHECK(pause_after_death(2, 139) == 100ms);
  CHECK(pause_after_death(3, 9) == 200ms);
  CHECK(pause_after_death(4, 9) == 400ms);
  for (int process = 5; process < 12; ++process) (void)pause_after_death(process, 9);
  CHECK(pause_after_death(12, 9) == 5s);
}

TEST_CASE("a first process that cannot serve ends the master with its exit code") {
  Succession master({});
  (void)master.begin(start);
  CHECK(told(master.ended(1, 2, start)) == "exit with 2");
}

TEST_CASE("a stop ends all processes, and the master after the last") {
  auto master = upgraded();
  (void)master.ready(2, start);
  (void)master.is_aside(1, start);
  (void)master.serves(2, start);
  CHECK(told(master.stop(start, 30s)) == "terminate 2, terminate 1");
  CHECK(told(master.upgrade_wanted()).empty());
  CHECK(told(master.ended(1, 0, start)).empty());
  SECTION("a second signal is passed on") {
    CHECK(told(master.stop(start, 30s)) == "terminate 2");
    CHECK(told(master.ended(2, 0, start)) == "exit with 0");
  }
  SECTION("what does not end is killed") {
    const auto by = master.next();
    CHECK(by == start + 30s + Succession::Times{}.stop);
    CHECK(told(master.pass(by)) == "kill 2");
    CHECK(told(master.ended(2, 137, by)) == "exit with 137");
  }
}

TEST_CASE("a stop while a process comes does not let it serve") {
  Succession master({});
  (void)master.begin(start);
  CHECK(told(master.stop(start, 30s)) == "terminate 1");
  CHECK(told(master.ready(1, start)).empty());
  CHECK(told(master.ended(1, 128 + 15, start)) == "exit with 0");
}
