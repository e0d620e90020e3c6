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
