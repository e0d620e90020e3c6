#include "cli/job.hpp"

#include "a_session.hpp"

using namespace karreg;
using namespace karreg::cli;

TEST_CASE("words of a command become one line of a shell that means the same") {
  const auto line = [](std::vector<std::string> words) { return shell_line(words); };
  CHECK(line({"npm", "run", "seed"}) == "npm run seed");
  CHECK(line({"echo $HOME | tr a b"}) == "echo $HOME | tr a b");  // one word is a line already
  CHECK(line({"echo", "$HOME", "it's", ""}) == R"(echo '$HOME' 'it'\''s' '')");
  CHECK(line({"a", "b c", "--x=/y.z"}) == "a 'b c' --x=/y.z");
}

TEST_CASE("a job is read from the API's answer") {
  const auto job = parse_job(Json::parse(
      R"({"id":"job_1","kind":"cron","command":"rake mail","state":"failed","message":"m",)"
      R"("exitCode":3,"instanceId":"i","due":"d","requestedAt":"r","startedAt":"s","endedAt":"e"})"));
  REQUIRE(job);
  CHECK(job->exit_code == 3);
  CHECK(job->over());
  CHECK(job->instance == "i");
  const auto open = parse_job(Json::parse(
      R"({"id":"job_1","state":"queued","exitCode":null,"instanceId":null,"endedAt":null})"));
  REQUIRE(open);
  CHECK_FALSE(open->exit_code.has_value());
  CHECK_FALSE(open->over());
  for (const char* none : {"{}", "[]", "null", R"({"id":"job_1"})"})
    CHECK_FALSE(parse_job(Json::parse(none)));
}

TEST_CASE(
    "a task without a command, or with a time limit that is none, is refused before anything") {
  SessionFixture fixture;
  CHECK(fixture.run({"run"}) == 2);
  CHECK(fixture.run({"run", "--time-limit", "soon", "--", "ls", "-l"}) == 2);
  CHECK_THAT(fixture.err(), Catch::Contains("--time-limit"));
}
