#include "cli/sse.hpp"

#include <catch2/catch.hpp>

using namespace karreg::cli;

namespace {
std::string read(const std::string& bytes, std::size_t piece) {
  SseParser parser;
  std::string seen;
  for (std::size_t at = 0; at < bytes.size(); at += piece)
    parser.feed(std::string_view(bytes).substr(at, piece), [&](const SseEvent& event) {
      seen += "[" + event.id + "|" + event.name + "|" + event.data + "]";
      return true;
    });
  return seen;
}
}  // namespace

TEST_CASE("events are the same however their bytes are cut") {
  const std::string bytes =
      ": comment\n\nid: 1\nevent: APPLICATION_LOG\ndata: {\"a\": 1}\n\ndata:x\r\ndata: y\r\n\r\n"
      "event: HEARTBEAT\ndata: {}\n\nid: 9\rdata: cr\r\rdata: unfinished\n";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece)
    CHECK(read(bytes, piece) ==
          "[1|APPLICATION_LOG|{\"a\": 1}][1|message|x\ny][1|HEARTBEAT|{}][9|message|cr]");
}

TEST_CASE("reading stops when the reader has enough") {
  SseParser parser;
  int events = 0;
  CHECK_FALSE(parser.feed("data: 1\n\ndata: 2\n\n", [&](const SseEvent&) {
    ++events;
    return false;
  }));
  CHECK(events == 1);
}
