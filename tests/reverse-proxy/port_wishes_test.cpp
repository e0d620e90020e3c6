#include "reverse-proxy/master/port_wishes.hpp"

#include <catch2/catch.hpp>

using karreg::proxy::PortWishes;
using Ports = PortWishes::Ports;

TEST_CASE("a port is open while a process that is there needs it") {
  PortWishes wishes;
  CHECK(wishes.all().empty());
  wishes.needs(1, {4000, 4001});
  CHECK(wishes.all() == Ports{4000, 4001});
  wishes.needs(1, {4001});
  CHECK(wishes.all() == Ports{4001});
  CHECK(wishes.of(1) == Ports{4001});
}

TEST_CASE("while one process takes over from another, the ports of both are open") {
  PortWishes wishes;
  wishes.needs(1, {4000});
  wishes.needs(2, {4001});
  CHECK(wishes.all() == Ports{4000, 4001});
  CHECK(wishes.speakers() == std::set<int>{1, 2});
  wishes.gone(1);
  CHECK(wishes.all() == Ports{4001});
  // It still follows the routes, but takes no new connections.
  wishes.needs(1, {4000, 4002});
  CHECK(wishes.all() == Ports{4001});
  CHECK(wishes.of(1).empty());
}

TEST_CASE("what a process that died needed stays open until another one has spoken") {
  PortWishes wishes;
  wishes.needs(1, {4000, 4001});
  wishes.gone(1);
  CHECK(wishes.all() == Ports{4000, 4001});
  CHECK(wishes.speakers().empty());
  wishes.needs(2, {4001});
  CHECK(wishes.all() == Ports{4001});
}

TEST_CASE("one that came and died says nothing about the ports of the one that serves") {
  PortWishes wishes;
  wishes.needs(1, {4000});
  wishes.gone(2);
  CHECK(wishes.all() == Ports{4000});
  wishes.needs(3, {});
  wishes.gone(3);
  CHECK(wishes.all() == Ports{4000});
}

TEST_CASE("wishes outlive the program that keeps them") {
  PortWishes wishes;
  wishes.needs(1, {4000});
  wishes.needs(2, {4000, 4001});
  wishes.gone(1);
  auto adopted = PortWishes::adopt(nlohmann::json::parse(wishes.state().dump()));
  CHECK(adopted.all() == wishes.all());
  CHECK(adopted.speakers() == wishes.speakers());
  adopted.needs(1, {4009});
  CHECK(adopted.all() == wishes.all());
}
