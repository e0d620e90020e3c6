#include "reverse-proxy/proxy_protocol.hpp"

#include <catch2/catch.hpp>

using namespace karreg::proxy;
using namespace std::string_literals;

namespace {

/// "client BYTES ADDRESS", "more" or "broken".
std::string seen(const std::string& came) {
  const auto read = read_proxy_header(came);
  if (read.broken) return "broken";
  if (!read.header) return "more";
  return "client " + std::to_string(read.header->bytes) + " " + read.header->client;
}

std::string version2(char version_and_command, char family, const std::string& rest) {
  return "\r\n\r\n\0\r\nQUIT\n"s + version_and_command + family +
         static_cast<char>(rest.size() >> 8) + static_cast<char>(rest.size() & 0xff) + rest;
}

const std::string v4 = "\xc0\x00\x02\x07\x0a\x00\x00\x01\x30\x39\x00\x50"s;
const std::string v6 = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x07" +
                       std::string(16, '\0') + "\x30\x39\x00\x50"s;

}  // namespace

TEST_CASE("a line of version 1 tells the visitor's address") {
  const std::string line = "PROXY TCP4 192.0.2.7 10.0.0.1 12345 80\r\n";
  CHECK(seen(line) == "client 40 192.0.2.7");
  CHECK(seen(line + "GET / HTTP/1.1\r\n") == "client 40 192.0.2.7");
  CHECK(seen("PROXY TCP6 2001:DB8::7 ::1 12345 443\r\n") == "client 38 2001:db8::7");
  CHECK(seen("PROXY UNKNOWN\r\n") == "client 15 ");
  CHECK(seen("PROXY UNKNOWN ffff:f:f:f ffff:f:f:f 65535 65535\r\n") == "client 49 ");
  for (std::size_t n = 0; n < line.size(); ++n) CHECK(seen(line.substr(0, n)) == "more");
}

TEST_CASE("version 2 tells the same in bytes, extensions are passed over") {
  const auto header = version2('\x21', '\x11', v4);
  CHECK(seen(header) == "client 28 192.0.2.7");
  CHECK(seen(header + "GET /") == "client 28 192.0.2.7");
  CHECK(seen(version2('\x21', '\x21', v6)) == "client 52 2001:db8::7");
  CHECK(seen(version2('\x21', '\x11', v4 + std::string(100, 'x'))) == "client 128 192.0.2.7");
  CHECK(seen(version2('\x20', '\x00', "")) == "client 16 ");
  CHECK(seen(version2('\x21', '\x31', std::string(216, 'x'))) == "client 232 ");
  for (std::size_t n = 0; n < header.size(); ++n) CHECK(seen(header.substr(0, n)) == "more");
}

TEST_CASE("what is no such header is not taken for one") {
  CHECK(seen("GET / HTTP/1.1\r\n") == "broken");
  CHECK(seen("proxy TCP4") == "broken");
  CHECK(seen("PROXY TCP4 192.0.2.7 10.0.0.1 12345\r\n") == "broken");
  CHECK(seen("PROXY TCP4 192.0.2.7 10.0.0.1 12345 80 \r\n") == "broken");
  CHECK(seen("PROXY TCP4 2001:db8::7 ::1 12345 80\r\n") == "broken");
  CHECK(seen("PROXY TCP6 192.0.2.7 10.0.0.1 12345 80\r\n") == "broken");
  CHECK(seen("PROXY TCP4 192.0.2.7 10.0.0.1 65536 80\r\n") == "broken");
  CHECK(seen("PROXY TCP4 192.0.2.300 10.0.0.1 1 80\r\n") == "broken");
  CHECK(seen("PROXY UDP4 192.0.2.7 10.0.0.1 12345 80\r\n") == "broken");
  CHECK(seen("PROXY " + std::string(101, 'x')) == "broken");
  CHECK(seen("\r\n\r\nGET") == "broken");
  CHECK(seen(version2('\x11', '\x11', v4)) == "broken");
  CHECK(seen(version2('\x22', '\x11', v4)) == "broken");
  CHECK(seen(version2('\x21', '\x41', v4)) == "broken");
  CHECK(seen(version2('\x21', '\x11', v4.substr(1))) == "broken");
  CHECK(seen(version2('\x21', '\x21', v6.substr(1))) == "broken");
  CHECK(seen(version2('\x21', '\x11', std::string(521, 'x'))) == "broken");
}

TEST_CASE("a header tells both ends, and is read as it was written") {
  const Ends old{"192.0.2.7", 12345, "10.0.0.1", 443};
  const Ends recent{"2001:db8::7", 1, "::1", 65535};
  for (const int version : {1, 2}) {
    for (const auto& ends : {old, recent}) {
      std::string text = "before";
      append_proxy_header(text, version, ends, {"a.test", "r-1"});
      text = text.substr(6) + "GET / HTTP/1.1\r\n";
      const auto read = read_proxy_header(text);
      REQUIRE(read.header);
      CHECK(read.header->ends == ends);
      CHECK(read.header->client == ends.from);
      CHECK(text.substr(read.header->bytes) == "GET / HTTP/1.1\r\n");
    }
  }
  std::string line;
  append_proxy_header(line, 1, old, {"a.test", "r-1"});
  CHECK(line == "PROXY TCP4 192.0.2.7 10.0.0.1 12345 443\r\n");
  std::string bytes;
  append_proxy_header(bytes, 2, old, {});
  CHECK(bytes == version2('\x21', '\x11', "\xc0\x00\x02\x07\x0a\x00\x00\x01\x30\x39\x01\xbb"s));
  std::string more;
  append_proxy_header(more, 2, old, {"a.test", "r-1"});
  CHECK(more == version2('\x21', '\x11',
                         "\xc0\x00\x02\x07\x0a\x00\x00\x01\x30\x39\x01\xbb"
                         "\x02\x00\x06"
                         "a.test"
                         "\x05\x00\x03"
                         "r-1"s));
}

TEST_CASE("ends that are not told, or of two kinds, are said to be unknown") {
  const auto ends =
      GENERATE(values<Ends>({{}, {"192.0.2.7", 1, "::1", 2}, {"x", 1, "10.0.0.1", 2}}));
  std::string line;
  append_proxy_header(line, 1, ends, {});
  CHECK(line == "PROXY UNKNOWN\r\n");
  std::string bytes;
  append_proxy_header(bytes, 2, ends, {});
  CHECK(bytes == version2('\x21', '\x00', ""));
  CHECK(seen(bytes) == "client 16 ");
}

TEST_CASE("the longest header is one that we would read ourselves") {
  const std::string name(253, 'a');
  std::string bytes;
  append_proxy_header(bytes, 2, {"2001:db8::7", 1, "::1", 2}, {name, std::string(500, 'i')});
  CHECK(bytes.size() <= max_proxy_header);
  CHECK(seen(bytes) == "client " + std::to_string(bytes.size()) + " 2001:db8::7");
}
