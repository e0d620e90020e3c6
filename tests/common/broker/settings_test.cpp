#include "common/broker/settings.hpp"

#include <catch2/catch.hpp>

#include "common/broker/topology.hpp"

using namespace karreg;

TEST_CASE("a broker's address is taken apart or refused with its form") {
  auto address = broker::parse_address("amqp://u:p@127.0.0.1:5673/v");
  REQUIRE(address);
  CHECK(address->user == "u");
  CHECK(address->password == "p");
  CHECK(address->port == 5673);
  CHECK(address->vhost == "v");
  CHECK(broker::parse_address("amqp://u:p@h:1/")->vhost == "/");
  CHECK(broker::parse_address("amqp://u:p@h:1")->vhost == "/");
  for (const auto* bad : {"http://x", "amqp://h:1/", "amqp://u@h:1/", "amqp://u:p@h/"})
    CHECK_THAT(broker::parse_address(bad).error().message(),
               Catch::Contains("amqp://user:password@host:port/vhost"));
}

TEST_CASE("a host's queue keeps the newest desired state only") {
  const auto queue = broker::host_queue("h1");
  CHECK(queue.max_length == 1);
  CHECK(queue.bindings == std::vector<std::string>{"host.h1.desired"});
}

TEST_CASE("the scheduler's queue is bounded under a name of its own, and ends the unbounded one") {
  const auto queue = broker::scheduler_queue();
  CHECK(queue.name == "scheduler-news");
  CHECK(queue.max_length == 1000);
  CHECK(queue.replaces == std::vector<std::string>{"scheduler"});
}
