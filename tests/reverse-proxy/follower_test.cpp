#include "reverse-proxy/follower.hpp"

#include <catch2/catch.hpp>
#include <random>

using namespace karreg;
using namespace karreg::proxy;

namespace {
wire::Route a_route(std::string host, std::string address = "127.0.0.1:80") {
  wire::Route route;
  route.host = std::move(host);
  route.app_id = "app_1";
  route.backends.push_back({"vm-" + address, std::move(address)});
  return route;
}
}  // namespace

TEST_CASE("a proxy without a table asks for one, and stops asking when it has it") {
  Follower follower;
  CHECK(follower.wants_snapshot());
  const auto decision = follower.take(wire::RouteSnapshot{7, {a_route("a")}});
  CHECK(decision.use_table);
  CHECK_FALSE(follower.wants_snapshot());
  CHECK(follower.table().version() == 7);
  CHECK(follower.table().size() == 1);
}

TEST_CASE("a delta for our version is applied") {
  Follower follower;
  (void)follower.take(wire::RouteSnapshot{7, {a_route("a")}});
  const auto decision = follower.take(wire::RouteUpdate{7, 8, {a_route("b")}, {{"a", "/"}}});
  CHECK(decision.use_table);
  CHECK_FALSE(follower.wants_snapshot());
  CHECK(follower.table().find("b", "/") != nullptr);
  CHECK(follower.table().find("a", "/") == nullptr);
}

TEST_CASE("a delta for another version asks for the whole and changes nothing") {
  Follower follower;
  (void)follower.take(wire::RouteSnapshot{7, {a_route("a")}});
  const auto before = follower.table();
  CHECK_FALSE(follower.take(wire::RouteUpdate{8, 9, {a_route("b")}, {}}).use_table);
  CHECK(follower.wants_snapshot());
  CHECK(follower.table() == before);
}

TEST_CASE("a delta that comes twice or late is nothing new") {
  Follower follower;
  (void)follower.take(wire::RouteSnapshot{7, {a_route("a")}});
  const wire::RouteUpdate update{7, 8, {a_route("b")}, {}};
  CHECK(follower.take(update).use_table);
  CHECK_FALSE(follower.take(update).use_table);
  CHECK_FALSE(follower.take(wire::RouteUpdate{5, 6, {}, {{"a", "/"}}}).use_table);
  CHECK_FALSE(follower.wants_snapshot());
  CHECK(follower.table().version() == 8);
  CHECK(follower.table().size() == 2);
}

TEST_CASE("a snapshot that answers our version wins, also over it: the database was restored") {
  Follower follower;
  (void)follower.take(wire::RouteSnapshot{7, {a_route("a")}, 0});
  CHECK(follower.take(wire::RouteSnapshot{2, {a_route("b")}, 7}).use_table);
  CHECK(follower.table().version() == 2);
  CHECK(follower.table().find("a", "/") == nullptr);
  CHECK_FALSE(follower.wants_snapshot());
}

TEST_CASE("a snapshot that was late brings nothing back") {
  Follower follower;
  (void)follower.take(wire::RouteSnapshot{6, {a_route("blue")}, 0});
  (void)follower.take(wire::RouteUpdate{6, 7, {a_route("green")}, {{"blue", "/"}}});
  const auto before = follower.table();
  // Asked for before the update came, by a report of version 6 or of none.
  for (const std::uint64_t asked_at : {0U, 6U}) {
    CHECK_FALSE(follower.take(wire::RouteSnapshot{6, {a_route("blue")}, asked_at}).use_table);
    CHECK(follower.table() == before);
    CHECK(follower.wants_snapshot());
  }
  CHECK(follower.take(wire::RouteSnapshot{7, {a_route("green")}, 6}).use_table);
  CHECK_FALSE(follower.wants_snapshot());
}

TEST_CASE("what the workers did not take over is not the version that an answer must name") {
  Follower follower;
  (void)follower.take(wire::RouteSnapshot{7, {a_route("a")}, 0});
  (void)follower.take(wire::RouteUpdate{7, 8, {a_route("b")}, {}});
  follower.not_used();
  // Reports still say 7, and the database may be restored now, too.
  CHECK_FALSE(follower.take(wire::RouteSnapshot{2, {a_route("c")}, 8}).use_table);
  CHECK(follower.take(wire::RouteSnapshot{2, {a_route("c")}, 7}).use_table);
  CHECK(follower.table().version() == 2);
}

TEST_CASE("a saved table gives way to a restored database") {
  Follower follower;
  follower.restore(*RouteTable::from({7, {a_route("a")}, 0}));
  CHECK(follower.take(wire::RouteSnapshot{2, {a_route("b")}, 7}).use_table);
  CHECK(follower.table().version() == 2);
}

TEST_CASE("after a lost connection the whole is asked for") {
  Follower follower;
  (void)follower.take(wire::RouteSnapshot{7, {}});
  follower.connected();
  CHECK(follower.wants_snapshot());
  (void)follower.take(wire::RouteSnapshot{7, {}});
  CHECK_FALSE(follower.wants_snapshot());
  follower.not_used();
  CHECK(follower.wants_snapshot());
}

TEST_CASE("one bad route is left out and named, and the others are used") {
  Follower follower;
  auto decision = follower.take(wire::RouteSnapshot{1, {a_route("a"), a_route("B")}});
  CHECK(decision.use_table);
  const std::vector<std::string> named{
      "route B/: the host must be a name in lower case without a port"};
  CHECK(decision.left_out == named);
  CHECK(follower.table().size() == 1);
  // A bad successor of a good route: the good one is not wanted any more.
  auto bad = a_route("a", "nowhere");
  decision = follower.take(wire::RouteUpdate{1, 2, {bad, a_route("c")}, {}});
  CHECK(decision.left_out.size() == 1);
  CHECK(follower.table().version() == 2);
  CHECK(follower.table().find("a", "/") == nullptr);
  CHECK(follower.table().find("c", "/") != nullptr);
}

TEST_CASE("one bad TCP route is left out and named, and the others are used") {
  Follower follower;
  const wire::TcpRoute good{4000, "app_1", {{"vm_1", "10.0.0.1:4040"}}};
  const wire::TcpRoute bad{4001, "app_1", {{"vm_1", "nowhere"}}};
  auto decision = follower.take(wire::RouteSnapshot{1, {}, 0, {good, bad}});
  CHECK(decision.use_table);
  CHECK(decision.left_out.size() == 1);
  CHECK(follower.table().tcp_routes().contains(4000));
  CHECK_FALSE(follower.table().tcp_routes().contains(4001));
  // A bad successor of a good route: the good one is not wanted any more.
  wire::RouteUpdate update{1, 2, {}, {}};
  update.tcp_upserts = {{4000, "app_1", {{"vm_1", "nowhere"}}}, {4002, "app_1", {}}};
  decision = follower.take(update);
  CHECK(decision.left_out.size() == 1);
  CHECK(decision.update->about_tcp());
  CHECK(follower.table().tcp_routes().size() == 1);
  CHECK(follower.table().tcp_routes().contains(4002));
}

TEST_CASE(
    "however messages are lost, late, doubled and mixed, a follower ends at the scheduler's "
    "table") {
  const auto seed = Catch::rngSeed();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  for (int round = 0; round < 200; ++round) {
    Follower follower;
    auto desired = *RouteTable::from({0, {}, 0});
    std::vector<wire::RouteUpdate> sent;
    std::vector<wire::RouteSnapshot> answers;
    // What the scheduler does with a report.
    auto answer = [&](std::uint64_t reported) {
      auto snapshot = desired.snapshot();
      snapshot.for_version = reported;
      answers.push_back(snapshot);
      return snapshot;
    };
    auto take = [&](const wire::RouteSnapshot& snapshot) {
      const auto before = follower.table().version();
      (void)follower.take(snapshot);
      REQUIRE((follower.table().version() >= before || snapshot.for_version == before));
    };
    for (int step = 0; step < 30; ++step) {
      auto next = desired;
      const auto host = "h" + std::to_string(below(4));
      wire::RouteUpdate change{desired.version(), desired.version() + 1, {}, {}};
      if (below(3) == 0)
        change.removes.push_back({host, "/"});
      else
        change.upserts.push_back(a_route(host, "127.0.0.1:" + std::to_string(1 + below(9))));
      REQUIRE(next.apply(change));
      sent.push_back(change);
      desired = next;
      if (below(4) != 0) (void)follower.take(change);
      if (below(4) == 0) (void)follower.take(sent[below(static_cast<unsigned>(sent.size()))]);
      if (below(9) == 0) follower.connected();
      const bool behind = follower.table().version() != desired.version();
      if (follower.wants_snapshot() || behind) {
        const auto asked = answer(follower.table().version());
        if (below(2) == 0) take(asked);
      }
      // One that was on its way for long, some of them for the second time.
      if (!answers.empty() && below(3) == 0)
        take(answers[below(static_cast<unsigned>(answers.size()))]);
      // The database is restored from a copy.
      if (below(40) == 0) {
        auto older = desired.snapshot();
        older.version -= below(static_cast<unsigned>(older.version));
        desired = *RouteTable::from(older);
        sent.clear();
        answers.clear();
        take(answer(follower.table().version()));
      }
      follower.table().check_invariants();
      if (follower.table().version() == desired.version()) REQUIRE(follower.table() == desired);
    }
    if (follower.wants_snapshot() || follower.table().version() != desired.version())
      take(answer(follower.table().version()));
    REQUIRE(follower.table() == desired);
  }
}
