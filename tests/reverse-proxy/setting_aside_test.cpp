// Instances that fail, and what that costs the others.
#include <catch2/catch.hpp>
#include <future>

#include "reverse-proxy/with_rules.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;
using Catch::Contains;
using Catch::StartsWith;

namespace {

/// Opens once, for all who wait.
class Gate {
 public:
  void open() { opened_.set_value(); }
  void wait() const { (void)future_.wait_for(20s); }

 private:
  std::promise<void> opened_;
  std::shared_future<void> future_{opened_.get_future()};
};

void nonsense(Peer& peer, int) {
  if (!peer.read_message().empty()) peer.send("what?\r\n\r\n");
}

ProxyOptions aside_for(std::chrono::milliseconds first, int bad_answers = 5) {
  ProxyOptions options;
  options.limits.aside = {bad_answers, first, 60s};
  return options;
}

const std::string get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

}  // namespace

TEST_CASE(
    "an instance that answers with no HTTP several times in a row gets no requests for a while") {
  App broken(nonsense);
  App well(App::hello("well"));
  Loopback loop(aside_for(60s, 3));
  loop.serve({&broken, &well});
  int failures = 0;
  // Which one gets a request is chance.
  CHECK(eventually([&] {
    if (status_of(loop.get()) == "502") ++failures;
    return loop.metric("set_aside_total") == "1";
  }));
  CHECK(failures == 3);
  CHECK(broken.connections() == 3);
  for (int i = 0; i < 30; ++i) CHECK(body_of(loop.get()) == "well");
  CHECK(broken.connections() == 3);
  CHECK(loop.metric("backend_set_aside{instance=\"vm-" + broken.address() + "\"}") == "1");
  CHECK(loop.metric("backend_set_aside{instance=\"vm-" + well.address() + "\"}") == "0");
}

TEST_CASE("an instance whose answers do not come in time is set aside after as many") {
  App silent([](Peer& peer, int) { (void)peer.read_to_end(20s); });
  App well(App::hello("well"));
  auto options = aside_for(60s, 2);
  options.limits.answer_time = 200ms;
  Loopback loop(options);
  loop.serve({&silent, &well});
  int late = 0;
  CHECK(eventually([&] {
    if (status_of(loop.get()) == "504") ++late;
    return loop.metric("set_aside_total") == "1";
  }));
  CHECK(late == 2);
  for (int i = 0; i < 30; ++i) CHECK(body_of(loop.get()) == "well");
}

TEST_CASE("when all instances are set aside, all are used") {
  std::atomic<bool> well{false};
  auto script = [&](Peer& peer, int nth) {
    if (well)
      App::hello("well")(peer, nth);
    else
      nonsense(peer, nth);
  };
  App one(script);
  App two(script);
  Loopback loop(aside_for(60s, 1));
  loop.serve({&one, &two});
  for (int i = 0; i < 2; ++i) CHECK(status_of(loop.get()) == "502");
  CHECK(loop.metric("set_aside_total") == "2");
  well = true;
  CHECK(body_of(loop.get()) == "well");
}

TEST_CASE("one request tries out an instance that was set aside, and the others go elsewhere") {
  Gate gate;
  std::atomic<int> asked{0};
  // Refuses by nonsense, then takes its time.
  App slow([&](Peer& peer, int nth) {
    if (nth == 0) return nonsense(peer, nth);
    if (peer.read_message().empty()) return;
    ++asked;
    gate.wait();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
    App::hello("slow")(peer, nth);
  });
  App well(App::hello("well"));
  // Who tries it out has two seconds before another one does.
  Loopback loop(aside_for(1s, 1));
  loop.serve({&slow, &well});
  CHECK(eventually([&] {
    (void)loop.get();
    return loop.metric("set_aside_total") == "1";
  }));
  std::list<Peer> waiting;
  // Its time is over when one of these does not get an answer at once.
  CHECK(eventually([&] {
    waiting.push_back(loop.client());
    waiting.back().send(get);
    return asked == 1 || waiting.back().read_until("well", 200ms).empty();
  }));
  for (int i = 0; i < 20; ++i) CHECK(body_of(loop.get()) == "well");
  CHECK(asked == 1);
  gate.open();
  CHECK_THAT(waiting.back().read_until("slow"), StartsWith("HTTP/1.1 200 "));
  // It is one of two again.
  CHECK(eventually([&] { return body_of(loop.get()) == "slow"; }));
}

TEST_CASE("an instance gets no more at once than the application's owner allows") {
  Gate gate;
  std::atomic<int> asked{0};
  auto script = [&](Peer& peer, int) {
    if (peer.read_message().empty()) return;
    ++asked;
    gate.wait();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    App::hello("hi")(peer, 0);
  };
  App one(script);
  App two(script);
  Loopback loop;
  loop.use({with_rules({&one, &two}, R"({"in_hand":{"instance":2}})")});
  std::list<Peer> waiting;
  for (int i = 0; i < 4; ++i) {
    waiting.push_back(loop.client());
    waiting.back().send(get);
    REQUIRE(eventually([&] { return asked == i + 1; }));
  }
  CHECK(one.connections() == 2);
  CHECK(two.connections() == 2);
  CHECK_THAT(loop.get(), StartsWith("HTTP/1.1 503 ") && Contains("\r\nRetry-After: 1\r\n"));
  CHECK(loop.metric("by_rules_total") == "1");
  gate.open();
  for (auto& peer : waiting) CHECK(body_of(peer.read_message()) == "hi");
  CHECK(body_of(loop.get()) == "hi");
}

TEST_CASE("of requests that an instance has lost, no more are repeated than a share of all") {
  Gate fall;
  Gate rise;
  std::atomic<int> asked{0};
  App app([&](Peer& peer, int nth) {
    if (peer.read_message().empty()) return;
    ++asked;
    // The first ten are lost all at once.
    if (nth < 10) return fall.wait();
    rise.wait();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
  });
  Loopback loop;
  loop.serve({&app});
  std::list<Peer> waiting;
  for (int i = 0; i < 10; ++i) {
    waiting.push_back(loop.client());
    waiting.back().send(get);
  }
  REQUIRE(eventually([&] { return asked == 10; }));
  fall.open();
  REQUIRE(eventually([&] { return loop.metric("retries_refused_total") == "7" && asked == 13; }));
  rise.open();
  std::map<std::string, int> got;
  for (auto& peer : waiting) ++got[status_of(peer.read_message())];
  CHECK(got == std::map<std::string, int>{{"200", 3}, {"502", 7}});
}
