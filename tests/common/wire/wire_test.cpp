#include <catch2/catch.hpp>

#include "common/wire/certificates.hpp"
#include "common/wire/host.hpp"
#include "common/wire/json.hpp"
#include "common/wire/logs.hpp"
#include "common/wire/news.hpp"
#include "common/wire/plan.hpp"
#include "common/wire/routes.hpp"
#include "common/wire/traffic.hpp"

using namespace karreg::wire;

namespace {
/// A message must come back from its text as the same JSON.
template <class T>
void round_trip(const T& value) {
  auto back = from_text<T>(to_text(value), "message");
  REQUIRE(back);
  CHECK(nlohmann::json(*back) == nlohmann::json(value));
}
}  // namespace

TEST_CASE("every message survives its JSON form") {
  RouteUpdate update{
      1, 2, {{"a.localhost", "/", "app_1", true, false, {{"i", "127.0.0.1:1"}}}}, {{"b", "/x/"}}};
  round_trip(update);
  update.upserts[0].asleep = true;
  update.tcp_upserts = {{4000, "app_1", {{"i", "127.0.0.1:4040"}}}};
  update.tcp_removes = {4001};
  round_trip(update);
  round_trip(RouteSnapshot{7, update.upserts, 6, update.tcp_upserts});
  round_trip(ProxyReport{"p", 2, false, {{"i", 3}}, false});
  const ServedCertificate served{"cert_1", "-----BEGIN CERTIFICATE-----\n", "sealed", {"a.test"}};
  const AcmeChallenge challenge{"http-01", "a.example.com", "token", "token.thumbprint"};
  round_trip(CertificateSnapshot{7, {served}, {challenge}, 6});
  round_trip(CertificateUpdate{7, 8, {served}, {"cert_2"}, {challenge}});
  round_trip(CertificateReport{"p", 8, true, true});
  VmSpec vm;
  vm.instance_id = "i";
  vm.env = {{"A", "1"}};
  vm.run.command = {"node", "server.js"};
  vm.build.steps = {{"install", "npm ci"}};
  round_trip(HostDesired{"h", 3, {vm}});
  VmStatus status;
  status.instance_id = "i";
  status.last_lines = {"boom"};
  status.build.reason = "x";
  HostReport report;
  report.host_id = "h";
  report.vms = {status};
  round_trip(report);
  round_trip(Wake{"push", "app_1"});
  round_trip(TrafficReport{
      "p", "process", 3, 9000, 0, 1, 5000, {{"app_1", 20, 1, 2}}, {{"i", 9, 1, 700, {1, 8}, 1}}});
  round_trip(LogBatch{"app_1", "d", "i", "app", 1, {{5, "out", "hello"}}});
  BuildPlan plan;
  plan.runtime = "node";
  plan.reasons = {"package.json"};
  round_trip(plan);
}

TEST_CASE("a message that is not JSON or has a field of another type says which message") {
  CHECK(from_text<Wake>("{", "Wake").error().message() == "Wake is not valid JSON");
  auto wrong = from_text<RouteSnapshot>(R"({"version":"x"})", "RouteSnapshot");
  REQUIRE_FALSE(wrong);
  CHECK_THAT(wrong.error().message(), Catch::StartsWith("RouteSnapshot: "));
  CHECK(from_text<Wake>("{}", "Wake"));
}

TEST_CASE("a long list of a message is read whatever it is") {
  auto read = [](std::string_view text) { return from_text<RouteSnapshot>(text, "RouteSnapshot"); };
  const auto two = read(
      R"({"routes":[{"host":"a","backends":[{"instance_id":"i"}]},{"host":"b"}],"version":7,
          "tcp_routes":[{"port":4000}]})");
  REQUIRE(two);
  CHECK(two->version == 7);
  REQUIRE(two->routes.size() == 2);
  CHECK(two->routes[0].host == "a");
  CHECK(two->routes[0].backends.size() == 1);
  CHECK(two->routes[1].host == "b");
  CHECK(two->tcp_routes.size() == 1);
  // The same name elsewhere is another thing.
  CHECK(read(R"({"other":{"routes":[{"host":"a"}]}})")->routes.empty());
  CHECK(read(R"({"version":7})")->routes.empty());
  CHECK(read(R"({"routes":[]})")->routes.empty());
  for (const auto* wrong :
       {R"({"routes":[1]})", R"({"routes":{"a":{"host":"a"}}})", R"({"routes":[[{"host":"a"}]]})",
        R"({"routes":[{"host":1}]})", R"({"routes":"a"})", R"([{"routes":[]}])", R"("a")"}) {
    INFO(wrong);
    const auto refused = read(wrong);
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message(), Catch::StartsWith("RouteSnapshot: "));
  }
  CHECK(read(R"({"routes":[{"host":"a"})").error().message() == "RouteSnapshot is not valid JSON");
}

TEST_CASE("bytes that are not UTF-8 do not break a message") {
  LogBatch batch{"app", "", "", "app", 0, {{1, "out", "\xff\xfe"}}};
  auto back = from_text<LogBatch>(to_text(batch), "LogBatch");
  REQUIRE(back);
  CHECK(back->lines[0].text == "\xEF\xBF\xBD\xEF\xBF\xBD");
}
