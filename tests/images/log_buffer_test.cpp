#include "images/guest/log_buffer.hpp"

#include <catch2/catch.hpp>

using namespace karreg::guest;
using namespace std::chrono_literals;
using karreg::wire::guest::LogLine;

namespace {
const Clock::time_point start{};
LogLine line(const std::string& text) {
  return {1, "out", text};
}
std::vector<std::string> texts(const karreg::wire::guest::Log& log) {
  std::vector<std::string> result;
  for (const auto& l : log.lines) result.push_back(l.text);
  return result;
}
}  // namespace

TEST_CASE("bytes become lines wherever they are cut") {
  LineSplitter splitter;
  CHECK(splitter.take("a").empty());
  CHECK(splitter.take("b\r\nc\n\nd") == std::vector<std::string>{"ab", "c", ""});
  CHECK(*splitter.rest() == "d");
  CHECK_FALSE(splitter.rest());
}

TEST_CASE("a line without an end is cut at the bound and loses nothing") {
  LineSplitter splitter;
  const std::string big(karreg::wire::guest::max_log_line_bytes + 10, 'x');
  auto lines = splitter.take(big);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].size() + splitter.rest()->size() == big.size());
}

TEST_CASE("lines wait a moment for company, then go as one batch") {
  LogBuffer buffer;
  buffer.add(line("a"), start);
  buffer.add(line("b"), start + 10ms);
  CHECK_FALSE(buffer.next(start + 49ms));
  CHECK(buffer.due() == start + 50ms);
  auto batch = buffer.next(start + 50ms);
  REQUIRE(batch);
  CHECK(batch->seq == 1);
  CHECK(texts(*batch) == std::vector<std::string>{"a", "b"});
  CHECK_FALSE(buffer.empty());
  buffer.ack(1);
  CHECK(buffer.empty());
}

TEST_CASE("at the bound the oldest lines fall out and the next batch says how many") {
  LogBuffer buffer(std::size_t{10} * (64 + 100));
  for (int i = 0; i < 25; ++i)
    buffer.add(line(std::string(100, static_cast<char>('a' + i))), start);
  buffer.hurry();
  auto batch = buffer.next(start);
  REQUIRE(batch);
  CHECK(batch->dropped == 15);
  CHECK(batch->lines.size() == 10);
  CHECK(batch->lines.front().text.front() == 'p');
  CHECK_FALSE(buffer.next(start));
}

TEST_CASE("a new agent gets again what nobody acknowledged, in order, then the rest") {
  LogBuffer buffer;
  buffer.hurry();
  for (const auto* text : {"a", "b", "c"}) {
    buffer.add(line(text), start);
    REQUIRE(buffer.next(start));
  }
  buffer.ack(1);
  buffer.add(line("d"), start);
  buffer.resend();
  CHECK(texts(*buffer.next(start)) == std::vector<std::string>{"b"});
  buffer.ack(2);
  CHECK(texts(*buffer.next(start)) == std::vector<std::string>{"c"});
  CHECK(buffer.next(start)->seq == 4);
  CHECK_FALSE(buffer.next(start));
  buffer.ack(4);
  CHECK(buffer.empty());
}

TEST_CASE("an agent that does not acknowledge stops the flow, not the app") {
  LogBuffer buffer;
  buffer.hurry();
  std::size_t sent = 0;
  for (int i = 0; i < 100; ++i) {
    buffer.add(line(std::string(10'000, 'x')), start);
    while (buffer.next(start)) ++sent;
  }
  CHECK(sent < 40);
  CHECK_FALSE(buffer.due());
  buffer.ack(1'000);
  CHECK(buffer.next(start));
}

TEST_CASE("whatever is printed, a batch stays below the bound of a line") {
  for (const char byte : {'\x01', '\xff', '"', 'a'}) {
    LogBuffer buffer;
    buffer.hurry();
    for (int i = 0; i < 40; ++i)
      buffer.add(line(std::string(i % 2 == 0 ? 16'384 : 1, byte)), start);
    std::size_t batches = 0;
    while (auto batch = buffer.next(start)) {
      ++batches;
      CHECK(karreg::wire::guest::encode(*batch).size() < karreg::wire::guest::max_line_bytes);
    }
    CHECK(batches > 1);
  }
}
