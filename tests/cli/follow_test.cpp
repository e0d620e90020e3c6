#include "cli/follow.hpp"

#include "a_session.hpp"

using namespace karreg;
using namespace karreg::cli;

TEST_CASE("a log query becomes the stream's address") {
  const Target target{"app_1", "orga_1", "shop"};
  CHECK(log_path(target, {}) == "/v4/logs/organisations/orga_1/applications/app_1/logs");
  LogQuery query;
  query.since_ms = 1'700'000'000'000;
  query.until_ms = 1'700'000'060'000;
  query.deployment_id = "deployment_1";
  query.search = "a b&c";
  CHECK(log_path(target, query) ==
        "/v4/logs/organisations/orga_1/applications/app_1/logs?since=2023-11-14T22%3A13%3A20.000Z&"
        "until=2023-11-14T22%3A14%3A20.000Z&deploymentId=deployment_1&filter=a%20b%26c");
}

TEST_CASE(
    "a log line is shown with its time, its worker or its service unless it is the app, and no "
    "controls") {
  const SessionFixture fixture;
  const auto line = parse_log_line(
      R"({"date":"2023-11-14T22:13:20.123Z","service":"build","message":"npm \u001b[31mERR!"})");
  REQUIRE(line);
  CHECK(rendered(*line, fixture.terminal) == "2023-11-14 22:13:20 [build] npm ERR!");
  const auto app =
      parse_log_line(R"({"date":"2023-11-14T22:13:20Z","service":"app","message":"hi"})");
  CHECK(rendered(*app, fixture.terminal) == "2023-11-14 22:13:20 hi");
  const auto worker = parse_log_line(
      R"({"date":"2023-11-14T22:13:20Z","service":"app","process":"mail","message":"sent"})");
  CHECK(rendered(*worker, fixture.terminal) == "2023-11-14 22:13:20 [mail] sent");
  CHECK_FALSE(parse_log_line("nonsense"));
  CHECK(parse_log_line("{}").has_value());
}

TEST_CASE("an access line says who asked for what, and how that went") {
  const SessionFixture fixture;
  const Target target{"app_1", "orga_1", "shop"};
  LogQuery query;
  query.access = true;
  CHECK(log_path(target, query) ==
        "/v4/accesslogs/organisations/orga_1/applications/app_1/accesslogs");
  const auto line = parse_access_line(
      R"({"date":"2026-01-02T03:04:05.678Z","source":{"ip":"192.0.2.7"},"bytesOut":20,"durationMs":1.26,)"
      R"("error":"connection refused","http":{"request":{"method":"GET","host":"a.test","path":"/x\u001b[31m"},)"
      R"("response":{"statusCode":502}}})");
  REQUIRE(line);
  const auto text = rendered(*line, fixture.terminal);
  CHECK_THAT(text, Catch::StartsWith("2026-01-02 03:04:05 192.0.2.7 502 GET a.test/x"));
  CHECK_THAT(text, Catch::EndsWith(" 1.3 ms 20 B (connection refused)"));
  CHECK(text.find('\x1b') == std::string::npos);
  const auto tcp = parse_access_line(
      R"({"date":"2026-01-02T03:04:05.678Z","source":{"ip":"192.0.2.7"},"bytesOut":20,"durationMs":1.26,)"
      R"("error":"","http":{"request":{"method":"TCP","host":"","path":":4000"},)"
      R"("response":{"statusCode":0}}})");
  REQUIRE(tcp);
  CHECK(rendered(*tcp, fixture.terminal) ==
        "2026-01-02 03:04:05 192.0.2.7 --- TCP :4000 1.3 ms 20 B");
  for (const auto* none : {"", "{}", "[]", R"({"date":"x","http":null})"})
    CHECK_FALSE(parse_access_line(none));
}
