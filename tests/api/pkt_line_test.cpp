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

namespace {
std::string command_with(const std::string& capabilities) {
  std::string payload = std::string(40, '0') + " " + std::string(40, '1') + " refs/heads/master";
  payload += '\0';
  return pkt_line(payload + capabilities);
}
const std::string flush{flush_pkt};
}  // namespace

TEST_CASE("a client that polls by itself is known by its agent", "[api]") {
  PushHead polls;
  polls.feed(command_with(" report-status side-band-64k agent=git/isomorphic-git@1.25.10"));
  CHECK(polls.known());
  CHECK(polls.polls());
  PushHead reads;
  reads.feed(command_with(" report-status agent=git/2.39.5"));
  CHECK_FALSE(reads.polls());
}

TEST_CASE("a client is waited for until it has said what it can, but not for ever", "[api]") {
  const std::string bytes = command_with("report-status");
  PushHead head;
  head.feed(bytes.substr(0, 70));
  CHECK_FALSE(head.known());
  head.feed(bytes.substr(70));
  CHECK(head.known());
  for (const std::string& other : {std::string("not a packet"), flush}) {
    PushHead strange;
    strange.feed(other);
    CHECK(strange.known());
  }
}

TEST_CASE("capabilities are whole words", "[api]") {
  PushHead head;
  head.feed(command_with("report-status-v2 side-band-64k object-format=sha1"));
  CHECK(head.offers("report-status-v2"));
  CHECK(head.offers("object-format=sha1"));
  CHECK_FALSE(head.offers("report-status"));
  CHECK_FALSE(head.offers("side-band"));
}

TEST_CASE("a push from a shallow clone begins with its boundary", "[api]") {
  PushHead head;
  head.feed(pkt_line("shallow " + std::string(40, '2')));
  CHECK_FALSE(head.known());
  head.feed(command_with(" report-status agent=git/2.39.5"));
  CHECK(head.known());
  CHECK(head.shallow());
  PushHead whole;
  whole.feed(command_with(" report-status"));
  CHECK_FALSE(whole.shallow());
}

TEST_CASE("the pack begins behind the commands, and behind the options if there are any", "[api]") {
  const std::string pack = "PACK and so on";
  const std::string plain = command_with(" report-status") + flush + pack;
  const std::string optional =
      command_with(" push-options") + flush + pkt_line("detach") + flush + pack;
  for (const std::string& body : {plain, optional}) {
    PushHead head;
    for (const char byte : body) head.feed({&byte, 1});
    CHECK(head.pack_bytes() == std::int64_t{14});
    CHECK(head.refs() == std::vector<std::string>{"refs/heads/master"});
    PushHead at_once;
    at_once.feed(body);
    CHECK(at_once.pack_bytes() == std::int64_t{14});
    at_once.feed("more");
    CHECK(at_once.pack_bytes() == std::int64_t{18});
  }
}
