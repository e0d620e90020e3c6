#include "reverse-proxy/route_table.hpp"

#include <catch2/catch.hpp>
#include <random>

using namespace karreg;
using proxy::RouteTable;

namespace {
wire::Route a_route(std::string host, std::string path, std::vector<std::string> addresses = {}) {
  wire::Route route;
  route.host = std::move(host);
  route.path = std::move(path);
  route.app_id = "app_1";
  for (auto& address : addresses) route.backends.push_back({"vm_" + address, address});
  return route;
}

RouteTable a_table(std::uint64_t version, std::vector<wire::Route> routes) {
  auto table = RouteTable::from({version, std::move(routes)});
  REQUIRE(table);
  return *table;
}

RouteTable random_table(std::mt19937& random, std::uint64_t version) {
  auto below = [&](unsigned n) { return random() % n; };
  std::map<wire::RouteKey, wire::Route> routes;
  const auto count = below(12);
  for (unsigned i = 0; i < count; ++i) {
    auto route = a_route("h" + std::to_string(below(5)), below(2) != 0 ? "/" : "/p/");
    const auto backends = below(4);
    for (unsigned b = 0; b < backends; ++b)
      route.backends.push_back(
          {"vm" + std::to_string(b), "127.0.0.1:" + std::to_string(1000 + below(3))});
    for (auto& backend : route.backends)
      if (below(3) == 0) backend.weight = static_cast<int>(below(1001));
    route.force_https = below(2) != 0;
    routes[{route.host, route.path}] = route;
  }
  wire::RouteSnapshot snapshot{version, {}};
  for (auto& [key, route] : routes) snapshot.routes.push_back(route);
  for (std::uint16_t port = 4000; port < 4004; ++port) {
    if (below(2) == 0) continue;
    wire::TcpRoute route{port, "app_" + std::to_string(below(2)), {}};
    if (below(2) != 0)
      route.backends.push_back({"vm", "127.0.0.1:" + std::to_string(1000 + below(3))});
    snapshot.tcp_routes.push_back(route);
  }
  auto table = RouteTable::from(snapshot);
  REQUIRE(table);
  return *table;
}
}  // namespace

TEST_CASE("applying the difference of two tables to the first gives the second") {
  const auto seed = Catch::rngSeed();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 500; ++round) {
    INFO("round " << round);
    auto a = random_table(random, 1 + random() % 100);
    const auto b = random_table(random, a.version() + 1 + random() % 3);
    const auto update = RouteTable::diff(a, b);
    const auto applied = a.apply(update);
    REQUIRE(applied);
    REQUIRE(a == b);
    a.check_invariants();
    const auto nothing = RouteTable::diff(a, b);
    REQUIRE(nothing.upserts.empty());
    REQUIRE(nothing.removes.empty());
  }
}

TEST_CASE("an update for another version leaves the table as it was") {
  auto table = a_table(3, {a_route("a", "/")});
  const auto before = table;
  wire::RouteUpdate update{4, 5, {a_route("b", "/")}, {}};
  const auto applied = table.apply(update);
  REQUIRE_FALSE(applied);
  CHECK(applied.error().kind() == ErrorKind::conflict);
  CHECK(applied.error().message() == "the update is for version 4, the table has version 3");
  CHECK(table == before);
}

TEST_CASE("an update with one bad route changes nothing") {
  auto table = a_table(3, {a_route("a", "/")});
  const auto before = table;
  wire::RouteUpdate update{3, 4, {a_route("b", "/"), a_route("c", "/x")}, {{"a", "/"}}};
  const auto applied = table.apply(update);
  REQUIRE_FALSE(applied);
  CHECK(applied.error().message() == "route c/x: the path must begin and end with /");
  CHECK(table == before);
}

TEST_CASE("a route that breaks a rule is named") {
  struct Case {
    wire::Route route;
    std::string message;
  };
  auto twice = a_route("a", "/", {"1.1.1.1:1"});
  twice.backends.push_back(twice.backends.front());
  auto heavy = a_route("a", "/", {"1.1.1.1:1"});
  heavy.backends[0].weight = 1001;
  auto light = heavy;
  light.backends[0].weight = -1;
  for (const auto& c : {
           Case{heavy,
                "route a/: backend vm_1.1.1.1:1 has the weight 1001, but it must be from 0 to "
                "1000"},
           Case{light,
                "route a/: backend vm_1.1.1.1:1 has the weight -1, but it must be from 0 to "
                "1000"},
           Case{a_route("A.org", "/"),
                "route A.org/: the host must be a name in lower case without a port"},
           Case{a_route("a:80", "/"),
                "route a:80/: the host must be a name in lower case without a port"},
           Case{a_route("", "/"), "route /: the host must be a name in lower case without a port"},
           Case{a_route("a", ""), "route a: the path must begin and end with /"},
           Case{a_route("a", "/", {"nowhere"}),
                "route a/: backend address \"nowhere\" is not host:port"},
           Case{a_route("a", "/", {"1.1.1.1:0"}),
                "route a/: backend address \"1.1.1.1:0\" is not host:port"},
           Case{twice, "route a/: a backend has no instance id or one that is there twice"},
       }) {
    const auto table = RouteTable::from({1, {c.route}});
    REQUIRE_FALSE(table);
    CHECK(table.error().message() == c.message);
  }
  const auto doubled = RouteTable::from({1, {a_route("a", "/"), a_route("a", "/")}});
  REQUIRE_FALSE(doubled);
  CHECK(doubled.error().message() == "route a/ is there twice");
}

TEST_CASE("the longest prefix of the path wins, at whole segments") {
  const auto table = a_table(
      1, {a_route("a", "/"), a_route("a", "/api/"), a_route("a", "/api/v2/"), a_route("b", "/x/")});
  auto path = [&](std::string_view host, std::string_view request) {
    const auto* route = table.find(host, request);
    return route == nullptr ? std::string("none") : route->path;
  };
  CHECK(path("a", "/") == "/");
  CHECK(path("a", "/other") == "/");
  CHECK(path("a", "/apiary") == "/");
  CHECK(path("a", "/api") == "/api/");
  CHECK(path("a", "/api/") == "/api/");
  CHECK(path("a", "/api/v2") == "/api/v2/");
  CHECK(path("a", "/api/v2/z") == "/api/v2/");
  CHECK(path("b", "/x/y") == "/x/");
  CHECK(path("b", "/") == "none");
  CHECK(path("c", "/") == "none");
  CHECK(path("", "/") == "none");
}

TEST_CASE("a snapshot survives its way through the table and through text") {
  const auto table = a_table(7, {a_route("b", "/", {"1.1.1.1:80"}), a_route("a", "/p/")});
  const auto again = RouteTable::from(table.snapshot());
  REQUIRE(again);
  CHECK(*again == table);
}

TEST_CASE("a TCP route that breaks a rule is refused by name") {
  struct Case {
    wire::TcpRoute route;
    std::string why;
  };
  const std::vector<Case> cases = {
      {{0, "app_1", {}}, "TCP route of port 0: there is no such port"},
      {{4000, "", {}}, "TCP route of port 4000: it belongs to no application"},
      {{4000, "app_1", {{"vm_1", "10.0.0.1"}}},
       "TCP route of port 4000: backend address \"10.0.0.1\" is not host:port"},
      {{4000, "app_1", {{"vm_1", "10.0.0.1:4040"}, {"vm_1", "10.0.0.2:4040"}}},
       "TCP route of port 4000: a backend has no instance id or one that is there twice"}};
  for (const auto& [route, why] : cases) {
    wire::RouteSnapshot snapshot{1, {}, 0, {route}};
    const auto table = RouteTable::from(snapshot);
    REQUIRE_FALSE(table);
    CHECK(table.error().message() == why);
    auto empty = a_table(1, {});
    wire::RouteUpdate update{1, 2, {}, {}};
    update.tcp_upserts = {route};
    const auto applied = empty.apply(update);
    REQUIRE_FALSE(applied);
    CHECK(applied.error().message() == why);
    CHECK(empty.version() == 1);
  }
  const auto twice = RouteTable::from({1, {}, 0, {{4000, "a", {}}, {4000, "b", {}}}});
  REQUIRE_FALSE(twice);
  CHECK(twice.error().message() == "TCP route of port 4000 is there twice");
}
