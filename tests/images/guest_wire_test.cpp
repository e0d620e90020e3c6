#include <catch2/catch.hpp>

#include "common/wire/guest.hpp"

using namespace karreg::wire::guest;

TEST_CASE("messages of the guest channel survive their line") {
  Config config;
  config.instance_id = "i";
  config.kind = "run";
  config.run.command = {"node", "server.js"};
  config.env = {{"A", "line\nbreak"}};
  const std::string text = encode(config);
  CHECK(text.find('\n') == std::string::npos);
  auto back = decode<ToGuest>(text);
  REQUIRE(back);
  CHECK(std::get<Config>(*back).env.at("A") == "line\nbreak");
  CHECK(std::get<LogAck>(*decode<ToGuest>(encode(LogAck{7}))).seq == 7);
  CHECK(std::get<Time>(*decode<ToGuest>(encode(Time{1'700'000'000'000'000'000}))).time_ns ==
        1'700'000'000'000'000'000);
  CHECK(std::get<Exit>(*decode<FromGuest>(encode(Exit{1, 0, true, "x"}))).oom);
  CHECK(std::holds_alternative<Hello>(*decode<FromGuest>(encode(Hello{}))));
}

TEST_CASE("a hostile guest's line is no message") {
  for (const auto* bad : {"", "{", "[]", "null", "{}", R"({"type":1})", R"({"type":"nonsense"})",
                          R"({"type":"log","seq":"x"})", R"({"type":"log","lines":[{"text":1}]})",
                          R"({"type":"config"})"})
    CHECK_FALSE(decode<FromGuest>(bad));
}
