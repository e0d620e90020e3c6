#include "common/broker/confirms.hpp"

#include <catch2/catch.hpp>

using karreg::broker::Confirms;

namespace {
Confirms after_publishing(int count) {
  Confirms confirms;
  for (int i = 0; i < count; ++i) confirms.published();
  return confirms;
}
}  // namespace

TEST_CASE("nothing published is nothing to wait for") {
  CHECK(Confirms().complete());
}

TEST_CASE("messages to two queues are confirmed in any order") {
  // 1 and 4 went to one queue, 2 and 3 to another.
  auto confirms = after_publishing(4);
  confirms.settle(1, true);
  CHECK_FALSE(confirms.complete());
  confirms.settle(4, false);
  CHECK_FALSE(confirms.complete());
  confirms.settle(3, true);
  CHECK(confirms.complete());
}

TEST_CASE("a single confirm stands for its own message only") {
  auto confirms = after_publishing(3);
  confirms.settle(3, false);
  confirms.settle(3, false);  // said twice
  confirms.settle(1, false);
  CHECK_FALSE(confirms.complete());
  confirms.settle(2, false);
  CHECK(confirms.complete());
}

TEST_CASE("what is published after a confirm is waited for again") {
  auto confirms = after_publishing(2);
  confirms.settle(2, true);
  CHECK(confirms.complete());
  confirms.published();
  confirms.settle(2, true);
  CHECK_FALSE(confirms.complete());
  confirms.settle(3, false);
  CHECK(confirms.complete());
}

TEST_CASE("a confirm of all up to nothing in particular is one of all") {
  // AMQP 0-9-1, basic.ack: a multiple one with tag 0 stands for everything outstanding.
  auto confirms = after_publishing(3);
  confirms.settle(0, true);
  CHECK(confirms.complete());
}
