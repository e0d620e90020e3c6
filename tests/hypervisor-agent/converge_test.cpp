#include "hypervisor-agent/converge.hpp"

#include <random>

#include "support.hpp"

using namespace karreg;
using namespace karreg::agent;
using test::a_desire;
using Kind = Step::Kind;

namespace {
std::vector<std::pair<Kind, std::string>> kinds(const std::vector<Step>& steps) {
  std::vector<std::pair<Kind, std::string>> result;
  for (const auto& step : steps) result.emplace_back(step.kind, step.instance_id);
  return result;
}

/// What an agent makes of a step: the model that properties are checked against.
void apply(World& world, const Step& step) {
  Seen& seen = world[step.instance_id];
  switch (step.kind) {
    case Kind::create:
      seen = {Life::live, Books::started, true};
      break;
    case Kind::adopt:
      seen.life = Life::live;
      break;
    case Kind::mourn:
    case Kind::recall:
      seen = {Life::ended, Books::ended, false};
      break;
    case Kind::stop:
      seen.life = Life::stopping;
      break;
    case Kind::forget:
    case Kind::sweep:
      world.erase(step.instance_id);
      break;
    case Kind::destroy:
      seen.domain = false;
      break;
  }
  if (world.contains(step.instance_id) && world[step.instance_id] == Seen{})
    world.erase(step.instance_id);
}

/// A stop that was begun comes to its end.
void finish_stops(World& world) {
  for (auto& [id, seen] : world)
    if (seen.life == Life::stopping) seen = {Life::ended, Books::none, false};
}

World any_world(std::mt19937& random) {
  World world;
  std::uniform_int_distribution<int> four(0, 3);
  for (const char* id : {"a", "b", "c", "d", "e", "f"}) {
    Seen seen;
    seen.life = static_cast<Life>(four(random));
    seen.books = static_cast<Books>(four(random));
    seen.domain = four(random) < 2;
    if (seen == Seen{}) continue;
    world[id] = seen;
  }
  return world;
}

wire::HostDesired any_desire(std::mt19937& random) {
  std::bernoulli_distribution coin;
  std::vector<std::string> ids;
  for (const char* id : {"a", "b", "c", "d", "e", "f", "g", "h"})
    if (coin(random)) ids.emplace_back(id);
  return a_desire(ids);
}
}  // namespace

TEST_CASE("what is desired and absent is created, in the order of the wish", "[agent]") {
  const auto desired = a_desire({"b", "a"});
  CHECK(kinds(converge(&desired, {})) ==
        std::vector<std::pair<Kind, std::string>>{{Kind::create, "b"}, {Kind::create, "a"}});
}

TEST_CASE("an instance that is listed twice is created once", "[agent]") {
  const auto desired = a_desire({"a", "a"});
  CHECK(converge(&desired, {}).size() == 1);
}

TEST_CASE("each state of one instance has its step", "[agent]") {
  struct Case {
    const char* name;
    Seen seen;
    bool wanted;
    std::optional<Kind> step;
  };
  const auto cases = {
      Case{"a running one that is wanted", {Life::live, Books::started, true}, true, {}},
      Case{"a running one that is not wanted",
           {Life::live, Books::started, true},
           false,
           Kind::stop},
      Case{"one whose stop has begun", {Life::stopping, Books::started, true}, false, {}},
      Case{"one that ended and is still wanted", {Life::ended, Books::ended, false}, true, {}},
      Case{"one that ended and is not wanted",
           {Life::ended, Books::ended, false},
           false,
           Kind::forget},
      Case{"one of a former agent, wanted",
           {Life::unknown, Books::started, true},
           true,
           Kind::adopt},
      Case{"one of a former agent, not wanted",
           {Life::unknown, Books::started, true},
           false,
           Kind::adopt},
      Case{"one that ended between agents",
           {Life::unknown, Books::started, false},
           true,
           Kind::mourn},
      Case{"one with its end on record", {Life::unknown, Books::ended, false}, true, Kind::recall},
      Case{"one with its end on record that still runs",
           {Life::unknown, Books::ended, true},
           true,
           Kind::destroy},
      Case{"a domain that nobody knows", {Life::unknown, Books::none, true}, false, Kind::destroy},
      Case{"a domain that nobody knows under a wanted name",
           {Life::unknown, Books::none, true},
           true,
           Kind::destroy},
      Case{"a folder that says nothing", {Life::unknown, Books::scraps, false}, false, Kind::sweep},
      Case{"a folder that says nothing under a wanted name",
           {Life::unknown, Books::scraps, false},
           true,
           Kind::sweep},
  };
  for (const auto& c : cases) {
    INFO(c.name);
    const auto desired = c.wanted ? a_desire({"x"}) : a_desire({});
    const auto steps = converge(&desired, {{"x", c.seen}});
    REQUIRE(steps.size() == (c.step ? 1U : 0U));
    if (c.step) CHECK(steps[0].kind == *c.step);
    if (c.step) CHECK_FALSE(steps[0].reason.empty());
  }
}

TEST_CASE("without a desired state nothing is stopped, removed or created", "[agent]") {
  const World world = {{"live", {Life::live, Books::started, true}},
                       {"ended", {Life::ended, Books::ended, false}},
                       {"stray", {Life::unknown, Books::none, true}},
                       {"scraps", {Life::unknown, Books::scraps, false}},
                       {"former", {Life::unknown, Books::started, true}}};
  CHECK(kinds(converge(nullptr, world)) ==
        std::vector<std::pair<Kind, std::string>>{{Kind::adopt, "former"}});
}

TEST_CASE("what frees memory comes before what takes it", "[agent]") {
  const auto desired = a_desire({"a", "new"});
  const World world = {{"a", {Life::live, Books::started, true}},
                       {"z", {Life::live, Books::started, true}}};
  CHECK(kinds(converge(&desired, world)) ==
        std::vector<std::pair<Kind, std::string>>{{Kind::stop, "z"}, {Kind::create, "new"}});
}

TEST_CASE("from any world the agent comes to what is desired and rests there",
          "[agent][property]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 2000; ++i) {
    INFO("round " << i);
    const auto desired = any_desire(random);
    World world = any_world(random);
    const World before = world;
    std::set<std::string> created;
    int rounds = 0;
    for (; rounds < 10; ++rounds) {
      const auto steps = converge(&desired, world);
      if (steps.empty() && std::ranges::none_of(world, [](const auto& entry) {
            return entry.second.life == Life::stopping;
          }))
        break;
      std::set<std::string> touched;
      for (const auto& step : steps) {
        REQUIRE(touched.insert(step.instance_id).second);
        if (step.kind == Kind::create) REQUIRE(created.insert(step.instance_id).second);
        apply(world, step);
      }
      finish_stops(world);
    }
    REQUIRE(rounds < 10);
    std::set<std::string> wanted;
    for (const auto& vm : desired.vms) wanted.insert(vm.instance_id);
    for (const auto& [id, seen] : world) {
      INFO(id);
      // Nothing that is not wanted stays, nothing stays that no object stands for.
      CHECK(wanted.contains(id));
      CHECK((seen.life == Life::live || seen.life == Life::ended));
    }
    for (const auto& id : wanted) CHECK(world.contains(id));
    for (const auto& id : created) {
      // Never a second life for an instance that has ended, and never a twin for one that runs.
      const auto old = before.find(id);
      if (old == before.end()) continue;
      INFO(id);
      CHECK(old->second.life == Life::unknown);
      CHECK((old->second.books == Books::none || old->second.books == Books::scraps));
    }
  }
}
