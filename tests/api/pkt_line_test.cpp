#include "api/git/pkt_line.hpp"

#include <catch2/catch.hpp>

using namespace karreg::api::git;

TEST_CASE("a packet begins with its length in hexadecimal digits", "[api]") {
  CHECK(pkt_line("ok refs/heads/master") == "0018ok refs/heads/master");
  CHECK(pkt_line("") == "0004");
}

TEST_CASE("packets come out whole however the bytes arrive", "[api]") {
  const std::string bytes = pkt_line("hello\n") + std::string(flush_pkt) + pkt_line("world");
  PktReader reader;
  std::vector<std::string> seen;
  for (const char byte : bytes) {
    reader.feed({&byte, 1});
    while (auto packet = reader.next()) seen.push_back(packet->flush ? "<flush>" : packet->payload);
  }
  CHECK(seen == std::vector<std::string>{"hello\n", "<flush>", "world"});
}

TEST_CASE("a malformed length is an error, not a wait for ever", "[api]") {
  for (const char* bad : {"00zz", "-001", "PACK"}) {
    INFO(bad);
    PktReader reader;
    reader.feed(bad);
    CHECK_THROWS(reader.next());
  }
}

TEST_CASE("the first packet is awaited, but not for ever", "[api]") {
  CHECK_FALSE(holds_packet(""));
  CHECK_FALSE(holds_packet("0008ab"));
  CHECK(holds_packet("0008abcd"));
  CHECK(holds_packet("0000"));
  CHECK(holds_packet("not a packet"));
}

TEST_CASE("a ref command is taken apart", "[api]") {
  const std::string zero(40, '0');
  const std::string one(40, '1');
  const auto command = parse_command(zero + " " + one + " refs/heads/a b\n");
  REQUIRE(command);
  CHECK(command->old_id == zero);
  CHECK(command->new_id == one);
  CHECK(command->ref == "refs/heads/a b");
  CHECK_FALSE(parse_command(zero + " " + one));
  CHECK_FALSE(parse_command(zero + one + " refs/heads/x"));
  CHECK_FALSE(parse_command(""));
}

TEST_CASE("a client that polls by itself is known by its agent", "[api]") {
  const std::string command =
      std::string(40, '0') + " " + std::string(40, '1') + " refs/heads/master";
  std::string capabilities = command;
  capabilities += '\0';
  CHECK(is_polling_client(
      pkt_line(capabilities + " report-status side-band-64k agent=git/isomorphic-git@1.25.10")));
  CHECK_FALSE(is_polling_client(pkt_line(capabilities + " report-status agent=git/2.39.5")));
  CHECK_FALSE(is_polling_client(""));
}
