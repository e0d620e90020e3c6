#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "common/crypto/certificate.hpp"
#include "scheduler/certificates/plan.hpp"

using namespace karreg;
using namespace karreg::scheduler::certificates;
using namespace std::chrono_literals;

namespace {

const Time now{1'800'000'000'000ms};

Rules all_on() {
  Rules rules;
  rules.acme = true;
  rules.local = true;
  return rules;
}

Held issued(std::string name, Time from, std::chrono::milliseconds life,
            Origin origin = Origin::acme) {
  Held held;
  held.id = "cert_" + name;
  held.origin = origin;
  held.name = origin == Origin::uploaded ? "" : name;
  held.names = {std::move(name)};
  held.not_before = from;
  held.not_after = from + life;
  return held;
}

Held failed(std::string name, Time next) {
  Held held;
  held.id = "cert_" + name;
  held.name = std::move(name);
  held.next_try = next;
  return held;
}

std::vector<std::string> ordered(const Facts& facts, const Rules& rules, Time at = now) {
  std::vector<std::string> names;
  for (const auto& order : plan(facts, rules, at).orders) names.push_back(order.name);
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("every name of an application gets a certificate, local ones from the platform itself") {
  const Facts facts{{"shop.example", "app.localhost", "localhost"}, {}, 0};
  const auto made = plan(facts, all_on(), now);
  REQUIRE(made.orders.size() == 3);
  CHECK(made.orders[0].name == "app.localhost");
  CHECK(made.orders[0].origin == Origin::local);
  CHECK(made.orders[1].name == "localhost");
  CHECK(made.orders[2].name == "shop.example");
  CHECK(made.orders[2].origin == Origin::acme);
  CHECK(made.orders[2].id.empty());
  CHECK(made.drops.empty());
  CHECK(plan(facts, Rules{}, now).orders.empty());
}

TEST_CASE("what no certificate authority can know is not ordered") {
  CHECK(is_orderable("shop.example"));
  CHECK(is_orderable("xn--caf-dma.example"));
  for (const auto* host : {"shop", "10.0.0.1", "app.localhost", "localhost", "a,DNS:b.example",
                           "*.shop.example", ".example", "a..example", "", "[::1]"})
    CHECK_FALSE(is_orderable(host));
}

TEST_CASE("a certificate is renewed when two thirds of its life are over, not before") {
  const std::chrono::milliseconds life = 90 * 24h;
  const Facts facts{{"a.example"}, {issued("a.example", now, life)}, 0};
  const auto due = now + life * 67 / 100;
  CHECK(ordered(facts, all_on(), due - 1ms).empty());
  const auto made = plan(facts, all_on(), due);
  REQUIRE(made.orders.size() == 1);
  CHECK(made.orders[0].renewal);
  CHECK(made.orders[0].id == "cert_a.example");
  auto rules = all_on();
  rules.renew_percent = 10;
  CHECK(ordered(facts, rules, now + life / 10) == Names{"a.example"});
  CHECK(ordered(facts, rules, now + life / 10 - 1ms).empty());
}

TEST_CASE("after failures a name waits longer each time, and the others do not wait for it") {
  const auto rules = all_on();
  CHECK(next_try(rules, 1, now) == now + 15min);
  CHECK(next_try(rules, 2, now) == now + 30min);
  CHECK(next_try(rules, 3, now) == now + 60min);
  CHECK(next_try(rules, 7, now) == now + 960min);
  CHECK(next_try(rules, 8, now) == now + 24h);
  CHECK(next_try(rules, 1'000'000, now) == now + 24h);
  const Facts facts{{"bad.example", "good.example"}, {failed("bad.example", now + 1ms)}, 0};
  CHECK(ordered(facts, rules) == Names{"good.example"});
  CHECK(ordered(facts, rules, now + 1ms) == Names{"bad.example", "good.example"});
}

TEST_CASE("no more is ordered than may be under way, and in an hour than the authority takes") {
  Facts facts;
  for (int i = 10; i < 40; ++i) facts.hosts.push_back("a" + std::to_string(i) + ".example");
  auto rules = all_on();
  CHECK(ordered(facts, rules).size() == 4);
  auto under_way = failed("a10.example", now);
  under_way.ordering = true;
  facts.held = {under_way};
  CHECK(ordered(facts, rules) == Names{"a11.example", "a12.example", "a13.example"});
  facts.ordered_last_hour = rules.orders_per_hour - 1;
  CHECK(ordered(facts, rules) == Names{"a11.example"});
  facts.ordered_last_hour = rules.orders_per_hour + 5;
  CHECK(ordered(facts, rules).empty());
  // Our own authority has no such bounds.
  facts.hosts.emplace_back("app.localhost");
  CHECK(ordered(facts, rules) == Names{"app.localhost"});
}

TEST_CASE("renewals that press come first, then who has none, then whose end is nearest") {
  const Facts facts{
      {"a.example", "b.example", "c.example", "d.example"},
      {issued("a.example", now - 65 * 24h, 90 * 24h), issued("b.example", now - 70 * 24h, 90 * 24h),
       issued("d.example", now - 80 * 24h, 90 * 24h)},
      0};
  CHECK(ordered(facts, all_on()) == Names{"d.example", "c.example", "b.example", "a.example"});
}

TEST_CASE("an owner with many names does not keep the others from theirs") {
  Facts facts;
  for (int i = 10; i < 90; ++i) {
    facts.hosts.push_back("a" + std::to_string(i) + ".example");
    facts.owners[facts.hosts.back()] = "greedy";
  }
  facts.hosts.insert(facts.hosts.end(), {"y.example", "z.example"});
  facts.owners["y.example"] = "modest";
  facts.owners["z.example"] = "small";
  facts.held = {failed("a10.example", now)};
  CHECK(ordered(facts, all_on()) == Names{"a10.example", "y.example", "z.example", "a11.example"});
  // Nor does one who lets many run out.
  auto lapsed = facts;
  for (int i = 11; i < 60; ++i)
    lapsed.held.push_back(issued("a" + std::to_string(i) + ".example", now - 100 * 24h, 90 * 24h));
  CHECK(ordered(lapsed, all_on()) == Names{"a11.example", "y.example", "z.example", "a12.example"});
  // Nor from keeping what they have.
  facts.hosts.emplace_back("old.example");
  facts.held.push_back(issued("old.example", now - 89 * 24h, 90 * 24h));
  auto rules = all_on();
  facts.ordered_last_hour = rules.orders_per_hour - 1;
  CHECK(ordered(facts, rules) == Names{"old.example"});
}

TEST_CASE("a name that something else covers needs none, and what it had is dropped") {
  const Facts had{{"a.apps.example", "own.example"},
                  {issued("a.apps.example", now, 90 * 24h), issued("own.example", now, 90 * 24h)},
                  0};
  auto rules = all_on();
  rules.elsewhere = {"*.apps.example"};
  CHECK(plan(had, rules, now).drops == Names{"cert_a.apps.example"});
  rules.elsewhere = {};
  rules.platform = {"*.apps.example"};
  const auto made = plan(had, rules, now);
  CHECK(made.drops == Names{"cert_a.apps.example"});
  REQUIRE(made.orders.size() == 1);
  CHECK(made.orders[0].name == "*.apps.example");

  auto uploaded = had;
  uploaded.held.push_back(issued("own.example", now - 24h, 60 * 24h, Origin::uploaded));
  CHECK(plan(uploaded, all_on(), now).drops == Names{"cert_own.example"});
  uploaded.held.erase(uploaded.held.begin() + 1);
  CHECK(ordered(uploaded, all_on()).empty());
  // Its owner brought no new one: nobody should meet one that has expired.
  CHECK(ordered(uploaded, all_on(), now + 58 * 24h - 1ms).empty());
  CHECK(ordered(uploaded, all_on(), now + 58 * 24h) == Names{"own.example"});
}

TEST_CASE("what nobody wants any more is dropped, but not in the middle of its order") {
  auto ordering = failed("gone.example", now);
  ordering.ordering = true;
  auto orphan = issued("x.example", now, 24h, Origin::uploaded);
  orphan.without_owner = true;
  const Facts facts{{}, {issued("old.example", now, 24h), ordering, orphan}, 0};
  CHECK(plan(facts, all_on(), now).drops == Names{"cert_old.example", "cert_x.example"});
}

TEST_CASE("without a certificate authority nothing is ordered and nothing taken away") {
  Rules off;
  const Facts facts{{"a.example", "b.example"}, {issued("a.example", now - 80 * 24h, 90 * 24h)}, 0};
  const auto made = plan(facts, off, now);
  CHECK(made.orders.empty());
  CHECK(made.drops.empty());
}

TEST_CASE("whatever is there: bounds are kept, and what is planned is not planned again") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto roll = [&](int sides) {
    return static_cast<int>(random() % static_cast<unsigned>(sides));
  };
  for (int run = 0; run < 500; ++run) {
    Facts facts;
    auto rules = all_on();
    rules.parallel = static_cast<std::size_t>(1 + roll(6));
    if (roll(3) == 0) rules.platform = {"*.apps.example"};
    std::size_t under_way = 0;
    for (int i = 0; i < 12; ++i) {
      const auto name = (roll(2) != 0 ? "h" : "h.apps") + std::to_string(i) +
                        (roll(4) == 0 ? ".localhost" : ".example");
      if (roll(3) != 0) facts.hosts.push_back(name);
      if (roll(2) == 0) continue;
      auto held = roll(2) != 0 ? issued(name, now - std::chrono::hours(roll(2000)), 90 * 24h,
                                        name.ends_with("localhost") ? Origin::local : Origin::acme)
                               : failed(name, now + std::chrono::minutes(roll(40) - 20));
      held.ordering = roll(5) == 0;
      under_way += held.ordering && held.origin == Origin::acme ? 1 : 0;
      facts.held.push_back(std::move(held));
    }
    facts.ordered_last_hour = static_cast<std::size_t>(roll(110));
    const auto made = plan(facts, rules, now);
    std::size_t by_acme = 0;
    std::set<std::string> names;
    for (const auto& order : made.orders) {
      by_acme += order.origin == Origin::acme ? 1 : 0;
      CHECK(names.insert(order.name).second);
    }
    CHECK(by_acme <= rules.parallel - std::min(rules.parallel, under_way));
    if (by_acme > 0) CHECK(facts.ordered_last_hour + by_acme <= rules.orders_per_hour);
    // The world as it is when all of it is done.
    std::erase_if(facts.held, [&](const Held& held) {
      return std::ranges::find(made.drops, held.id) != made.drops.end();
    });
    for (const auto& order : made.orders) {
      std::erase_if(facts.held, [&](const Held& held) { return held.id == order.id; });
      auto done = issued(order.name, now, 90 * 24h, order.origin);
      facts.held.push_back(done);
    }
    facts.ordered_last_hour = 0;
    const auto again = plan(facts, rules, now);
    for (const auto& order : again.orders) CHECK_FALSE(names.contains(order.name));
    CHECK(again.drops.empty());
  }
}
