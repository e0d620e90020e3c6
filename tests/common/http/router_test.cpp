#include "common/http/router.hpp"

#include <catch2/catch.hpp>

using namespace karreg::http;

TEST_CASE("a path finds its most literal route") {
  Router router;
  const auto by_id = router.add("GET", "/v2/apps/{appId}");
  const auto list = router.add("GET", "/v2/apps/all");
  const auto put = router.add("PUT", "/v2/apps/{appId}");
  const auto rest = router.add("GET", "/git/{path*}");
  CHECK(router.find("GET", "/v2/apps/all")->route == list);
  auto match = router.find("GET", "/v2/apps/a%2Fb");
  REQUIRE(match);
  CHECK(match->route == by_id);
  CHECK(match->parameters.at("appId") == "a/b");
  CHECK(router.find("PUT", "/v2/apps/x")->route == put);
  CHECK(router.find("GET", "/git/a/b.git")->parameters.at("path") == "a/b.git");
  CHECK(router.find("GET", "/git/a")->route == rest);
  CHECK(router.find("HEAD", "/v2/apps/x")->route == by_id);
}

TEST_CASE("a wrong method is told from a path that does not exist") {
  Router router;
  router.add("GET", "/a/{x}");
  CHECK(router.find("POST", "/a/1").error() == Router::Miss::method_not_allowed);
  CHECK(router.find("GET", "/b").error() == Router::Miss::no_such_path);
  CHECK(router.find("GET", "/a/").error() == Router::Miss::no_such_path);
  CHECK(router.find("GET", "/a/1/2").error() == Router::Miss::no_such_path);
  CHECK(router.find("GET", "/a/%zz").error() == Router::Miss::no_such_path);
}
