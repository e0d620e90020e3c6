#include "hypervisor-agent/admit.hpp"

#include <catch2/catch.hpp>
#include <limits>

using namespace karreg::agent;
using namespace std::string_literals;
namespace msg = karreg::wire::guest;

namespace {
/// What the agent makes of a line of a guest.
template <class T>
std::optional<T> heard(const std::string& line) {
  auto message = msg::decode<msg::FromGuest>(line);
  if (!message) return std::nullopt;
  auto admitted = admit(std::move(*message));
  if (!admitted) return std::nullopt;
  return std::get<T>(*admitted);
}
}  // namespace

TEST_CASE("a text loses its NULs and what is beyond its bound, but no half letter stays",
          "[agent]") {
  CHECK(cleaned("", 4).empty());
  CHECK(cleaned("four", 4) == "four");
  CHECK(cleaned("five!", 4) == "five");
  CHECK(cleaned("a\0b\0"s, 4) == "ab");
  CHECK(cleaned("aaé", 4) == "aaé");
  CHECK(cleaned("aaaé", 4) == "aaa");
  CHECK(cleaned("a😀", 4) == "a");
  CHECK(cleaned("\x80\x80\x80\x80\x80", 4).empty());
}

TEST_CASE("a NUL that a guest escapes in JSON reaches no report", "[agent]") {
  const auto result = heard<msg::BuildResult>(
      R"({"type":"build_result","ok":false,"failed_step":"ma\u0000ke","reason":"\u0000no"})");
  REQUIRE(result);
  CHECK(result->failed_step == "make");
  CHECK(result->reason == "no");
  CHECK(heard<msg::Exit>(R"({"type":"exit","reason":"b\u0000ye"})")->reason == "bye");
  CHECK(heard<msg::State>(R"({"type":"state","phase":"starting","detail":"\u0000"})")
            ->detail.empty());
  const auto log =
      heard<msg::Log>(R"({"type":"log","seq":1,"lines":[{"stream":"err","text":"a\u0000b"}]})");
  REQUIRE(log);
  CHECK(log->lines.at(0).text == "ab");
  CHECK(log->lines.at(0).stream == "err");
}

TEST_CASE("what a guest says is bounded", "[agent]") {
  const std::string endless(100'000, 'x');
  CHECK(heard<msg::Exit>(msg::encode(msg::Exit{1, 0, false, endless}))->reason.size() ==
        max_sentence_bytes);
  const auto log =
      heard<msg::Log>(msg::encode(msg::Log{1, 0, {{1, "shout", endless, "\0"s + endless}}}));
  REQUIRE(log);
  CHECK(log->lines.at(0).text.size() == msg::max_log_line_bytes);
  CHECK(log->lines.at(0).stream == "out");
  CHECK(log->lines.at(0).process == std::string(max_process_bytes, 'x'));
}

TEST_CASE("how a guest says that it ended is a number that a process may end with", "[agent]") {
  const auto exit = [](int code, int signal) {
    return heard<msg::Exit>(msg::encode(msg::Exit{code, signal, false, "", true})).value();
  };
  CHECK(exit(3, 0).exit_code == 3);
  CHECK(exit(0, 9).signal == 9);
  CHECK(exit(3, 0).timed_out);
  const int most = std::numeric_limits<int>::max();
  CHECK(exit(most, most).exit_code == 255);
  CHECK(exit(most, most).signal == 64);
  CHECK(exit(-1, -most).exit_code == 0);
  CHECK(exit(-1, -most).signal == 0);
}

TEST_CASE("a guest names its own phases and no verdict", "[agent]") {
  for (const char* phase : {"configuring", "pre_run", "building", "packing", "starting",
                            "listening", "stopping", "exited"})
    CHECK(heard<msg::State>(msg::encode(msg::State{phase, 1, ""})));
  for (const char* phase : {"", "running", "failed", "built", "creating", "Listening"})
    CHECK_FALSE(heard<msg::State>(msg::encode(msg::State{phase, 1, ""})));
}

TEST_CASE("bytes that are no UTF-8 are no message", "[agent]") {
  CHECK_FALSE(heard<msg::Exit>("{\"type\":\"exit\",\"reason\":\"\xff\"}"));
  CHECK_FALSE(heard<msg::Exit>("{\"type\":\"exit\",\"reason\":\"\\ud800\"}"));
}
