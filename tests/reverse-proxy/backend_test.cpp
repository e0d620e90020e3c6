#include "reverse-proxy/backend.hpp"

#include <catch2/catch.hpp>

using namespace karreg::proxy;
using namespace std::chrono_literals;

namespace {

struct Tried {
  std::shared_ptr<Backend> backend =
      std::make_shared<Backend>("app", "vm-1", "127.0.0.1:1", boost::asio::ip::tcp::endpoint());
  AsideRule rule{.bad_answers = 3, .first = 500ms, .longest = 4s};
  std::chrono::steady_clock::time_point now{1h};

  bool refuses() const { return backend->failed(Backend::Failure::no_answer, now, rule); }
  bool errs() const { return backend->failed(Backend::Failure::bad_answer, now, rule); }
  /// A request can go there, and is the one that tries it out if somebody must.
  bool takes() const { return !backend->aside(now) && backend->admits(now, rule); }
};

}  // namespace

TEST_CASE("an instance that refuses is set aside, for longer each time, until it answers") {
  Tried it;
  CHECK(it.takes());
  for (const auto time : {500ms, 1000ms, 2000ms, 4000ms, 4000ms}) {
    CHECK(it.refuses());
    it.now += time - 1ms;
    CHECK_FALSE(it.takes());
    it.now += 1ms;
    CHECK(it.takes());
  }
  it.backend->answered();
  for (int i = 0; i < 3; ++i) CHECK(it.takes());
  CHECK(it.refuses());
  it.now += 500ms;
  CHECK(it.takes());
}

TEST_CASE("one request tries an instance out, the others come with its answer") {
  Tried it;
  CHECK(it.refuses());
  it.now += 500ms;
  CHECK(it.takes());
  for (int i = 0; i < 3; ++i) CHECK_FALSE(it.takes());
  SECTION("it is answered") {
    it.backend->answered();
    for (int i = 0; i < 3; ++i) CHECK(it.takes());
  }
  SECTION("it is not, and one more tries it") {
    it.now += 999ms;
    CHECK_FALSE(it.takes());
    it.now += 1ms;
    CHECK(it.takes());
    CHECK_FALSE(it.takes());
  }
  SECTION("it fails, as one is enough to show") {
    CHECK(it.errs());
    it.now += 999ms;
    CHECK_FALSE(it.takes());
    it.now += 1ms;
    CHECK(it.takes());
  }
}

TEST_CASE("answers that are none set an instance aside when there are several in a row") {
  Tried it;
  CHECK_FALSE(it.errs());
  CHECK_FALSE(it.errs());
  CHECK(it.takes());
  it.backend->answered();
  CHECK_FALSE(it.errs());
  CHECK_FALSE(it.errs());
  CHECK(it.errs());
  CHECK_FALSE(it.takes());
}

TEST_CASE("an instance has no more in hand than it may, and what is repeated is counted") {
  Tried it;
  InFlight first;
  CHECK(first.enter(it.backend, 2, false));
  {
    InFlight second;
    CHECK(second.enter(it.backend, 2, true));
    CHECK(it.backend->repeats() == 1);
    InFlight third;
    CHECK_FALSE(third.enter(it.backend, 2, true));
    CHECK_FALSE(third);
    CHECK(third.enter(it.backend, 0, false));
    CHECK(it.backend->in_flight() == 3);
    first = std::move(second);
    CHECK(it.backend->in_flight() == 2);
    CHECK(it.backend->repeats() == 1);
  }
  CHECK(it.backend->in_flight() == 1);
  first = {};
  CHECK(it.backend->in_flight() == 0);
  CHECK(it.backend->repeats() == 0);
  CHECK(it.backend->requests() == 3);
}
