#include <catch2/catch.hpp>

#include "common/wire/guest.hpp"

using namespace karreg::wire::guest;

TEST_CASE("messages of the guest channel survive their line") {
  Config config;
  config.instance_id = "i";
  config.kind = "run";
  config.run.command = {"node", "server.js"};
  config.run.workers = {{"mail", "./send", "always", 5'000}};
  config.job = {"./once", "/app/jobs", 60'000};
  config.env = {{"A", "line\nbreak"}};
  const std::string text = encode(config);
  CHECK(text.find('\n') == std::string::npos);
  auto back = decode<ToGuest>(text);
  REQUIRE(back);
  CHECK(std::get<Config>(*back).env.at("A") == "line\nbreak");
  CHECK(std::get<Config>(*back).run.workers == config.run.workers);
  CHECK(std::get<Config>(*back).job.command == "./once");
  CHECK(std::get<Config>(*back).job.workdir == "/app/jobs");
  CHECK(std::get<Config>(*back).job.wall_ms == 60'000);
  CHECK(std::get<LogAck>(*decode<ToGuest>(encode(LogAck{7}))).seq == 7);
  CHECK(std::get<Time>(*decode<ToGuest>(encode(Time{1'700'000'000'000'000'000}))).time_ns ==
        1'700'000'000'000'000'000);
  CHECK(std::get<Exit>(*decode<FromGuest>(encode(Exit{1, 0, true, "x"}))).oom);
  CHECK(std::get<Exit>(*decode<FromGuest>(encode(Exit{1, 0, false, "x", true}))).timed_out);
  const auto log = std::get<Log>(*decode<FromGuest>(encode(Log{1, 0, {{1, "out", "x", "mail"}}})));
  CHECK(log.lines.at(0).process == "mail");
  CHECK(std::holds_alternative<Hello>(*decode<FromGuest>(encode(Hello{}))));
}

TEST_CASE("words of an older agent or guest, which know no workers and jobs, mean what they did") {
  const auto config = std::get<Config>(
      *decode<ToGuest>(R"({"type":"config","kind":"run","run":{"command":["a"],"workers":[{}]}})"));
  CHECK(config.run.workers.at(0).restart == "on-failure");
  CHECK(config.run.workers.at(0).restart_delay_ms == 1'000);
  CHECK(config.job.command.empty());
  const auto log = std::get<Log>(
      *decode<FromGuest>(R"({"type":"log","seq":1,"lines":[{"stream":"out","text":"a"}]})"));
  CHECK(log.lines.at(0).process.empty());
  CHECK_FALSE(std::get<Exit>(*decode<FromGuest>(R"({"type":"exit","exit_code":1})")).timed_out);
}

TEST_CASE("a hostile guest's line is no message") {
  for (const auto* bad : {"", "{", "[]", "null", "{}", R"({"type":1})", R"({"type":"nonsense"})",
                          R"({"type":"log","seq":"x"})", R"({"type":"log","lines":[{"text":1}]})",
                          R"({"type":"config"})"})
    CHECK_FALSE(decode<FromGuest>(bad));
}
