#include "hypervisor-agent/log_relay.hpp"

#include "support.hpp"

using namespace karreg;
using namespace karreg::agent;
namespace msg = wire::guest;

namespace {
struct Scene {
  asio::io_context io;
  test::HandUplink uplink;
  std::vector<std::uint64_t> acknowledged;
  std::shared_ptr<LogRelay> relay =
      std::make_shared<LogRelay>(io.get_executor(), uplink, test::a_vm("instance_1"),
                                 [this](std::uint64_t seq) { acknowledged.push_back(seq); });

  void confirm() {
    uplink.confirm_all();
    io.restart();
    io.poll();
  }
};

msg::Log batch(std::uint64_t seq, std::vector<std::pair<std::string, std::string>> lines,
               std::uint64_t dropped = 0) {
  msg::Log log{seq, dropped, {}};
  for (auto& [stream, text] : lines)
    log.lines.push_back({static_cast<std::int64_t>(seq), stream, text});
  return log;
}
}  // namespace

TEST_CASE("lines are sorted by service and stay in order", "[agent]") {
  Scene scene;
  scene.relay->take(batch(1, {{"out", "a"}, {"err", "b"}, {"karreg", "c"}, {"out", "d"}}));
  REQUIRE(scene.uplink.batches.size() == 3);
  CHECK(scene.uplink.batches[0].service == "app");
  CHECK(scene.uplink.batches[0].lines.size() == 2);
  CHECK(scene.uplink.batches[0].lines[1].text == "b");
  CHECK(scene.uplink.batches[1].service == "karreg");
  CHECK(scene.uplink.batches[2].service == "app");
  CHECK(scene.uplink.batches[2].lines[0].text == "d");
  for (const auto& b : scene.uplink.batches) {
    CHECK(b.app_id == "app_1");
    CHECK(b.deployment_id == "deployment_1");
    CHECK(b.instance_id == "instance_1");
  }
  CHECK(service_of("build", "build") == "build");
}

TEST_CASE("what a job prints is its service's, and what the init says of it the platform's",
          "[agent]") {
  CHECK(service_of("out", "job") == "job");
  CHECK(service_of("err", "job") == "job");
  CHECK(service_of("karreg", "job") == "karreg");
  CHECK(service_of("err", "run") == "app");
}

TEST_CASE("lines of workers travel with the app's and keep their names", "[agent]") {
  Scene scene;
  scene.relay->take({1, 0, {{1, "out", "a"}, {2, "err", "b", "mail"}, {3, "out", "c", "queue"}}});
  REQUIRE(scene.uplink.batches.size() == 1);
  const auto& lines = scene.uplink.batches[0].lines;
  CHECK(scene.uplink.batches[0].service == "app");
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].process.empty());
  CHECK(lines[1].process == "mail");
  CHECK(lines[2].process == "queue");
  CHECK(scene.relay->last_lines() == std::vector<std::string>{"a", "b", "c"});
}

TEST_CASE("a batch is acknowledged when all of it is safe and not before", "[agent]") {
  Scene scene;
  scene.relay->take(batch(7, {{"out", "a"}, {"karreg", "b"}}));
  CHECK(scene.acknowledged.empty());
  scene.uplink.waiting[0](ok());
  scene.io.poll();
  CHECK(scene.acknowledged.empty());
  scene.uplink.waiting[1](ok());
  scene.io.restart();
  scene.io.poll();
  CHECK(scene.acknowledged == std::vector<std::uint64_t>{7});
  CHECK(scene.relay->waiting_bytes() == 0);
}

TEST_CASE("what was not confirmed is not acknowledged", "[agent]") {
  Scene scene;
  scene.relay->take(batch(1, {{"out", "a"}}));
  scene.uplink.waiting[0](Error(ErrorKind::unavailable, "the program stops"));
  scene.io.poll();
  CHECK(scene.acknowledged.empty());
}

TEST_CASE("a batch that the guest repeats is passed over", "[agent]") {
  Scene scene;
  scene.relay->take(batch(1, {{"out", "a"}}));
  scene.relay->take(batch(1, {{"out", "a"}}));
  scene.relay->take(batch(2, {{"out", "b"}}));
  CHECK(scene.uplink.batches.size() == 2);
}

TEST_CASE("lines that the uplink refuses wait and go in order", "[agent]") {
  Scene scene;
  scene.uplink.refusing = true;
  scene.relay->take(batch(1, {{"out", "a"}}));
  scene.relay->take(batch(2, {{"out", "b"}}));
  CHECK(scene.uplink.batches.empty());
  scene.uplink.refusing = false;
  scene.relay->retry();
  REQUIRE(scene.uplink.batches.size() == 2);
  CHECK(scene.uplink.batches[0].lines[0].text == "a");
  scene.confirm();
  CHECK(scene.acknowledged == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("at the bound the oldest waiting lines are dropped and counted", "[agent]") {
  Scene scene;
  scene.uplink.refusing = true;
  const std::string big(LogRelay::capacity_bytes / 4, 'x');
  for (std::uint64_t seq = 1; seq <= 10; ++seq)
    scene.relay->take(batch(seq, {{"out", big + std::to_string(seq)}}));
  CHECK(scene.relay->waiting_bytes() <= LogRelay::capacity_bytes);
  scene.uplink.refusing = false;
  scene.relay->retry();
  REQUIRE(scene.uplink.batches.size() == 3);
  CHECK(scene.uplink.batches[0].dropped == 7);
  CHECK(scene.uplink.batches[0].lines[0].text.back() == '8');
  CHECK(scene.uplink.batches[1].dropped == 0);
  scene.confirm();
  CHECK(scene.acknowledged.back() == 10);
}

TEST_CASE("what the guest dropped is told once", "[agent]") {
  Scene scene;
  scene.relay->take(batch(1, {{"out", "a"}, {"karreg", "b"}}, 5));
  REQUIRE(scene.uplink.batches.size() == 2);
  CHECK(scene.uplink.batches[0].dropped == 5);
  CHECK(scene.uplink.batches[1].dropped == 0);
}

TEST_CASE("a guest is not left waiting for lines that were dropped", "[agent]") {
  Scene scene;
  // One batch that is over the bound by itself.
  scene.relay->take(batch(1, {{"out", std::string(LogRelay::capacity_bytes + 1, 'x')}}));
  CHECK(scene.uplink.batches.empty());
  CHECK(scene.acknowledged == std::vector<std::uint64_t>{1});
  scene.relay->take(batch(2, {{"out", "after"}}));
  REQUIRE(scene.uplink.batches.size() == 1);
  CHECK(scene.uplink.batches[0].dropped == 1);
}

TEST_CASE("an empty batch is acknowledged", "[agent]") {
  Scene scene;
  scene.relay->take(batch(1, {}));
  CHECK(scene.acknowledged == std::vector<std::uint64_t>{1});
}

TEST_CASE("the last twenty lines are kept for the report", "[agent]") {
  Scene scene;
  for (std::uint64_t seq = 1; seq <= 30; ++seq)
    scene.relay->take(batch(seq, {{"out", std::to_string(seq)}}));
  const auto lines = scene.relay->last_lines();
  REQUIRE(lines.size() == 20);
  CHECK(lines.front() == "11");
  CHECK(lines.back() == "30");
}
