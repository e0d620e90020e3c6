// karreg-proxy as a process, with a real broker; the test plays the scheduler, the applications and
// the visitors.
#include <sched.h>
#include <sys/resource.h>

#include <sstream>

#include "common/broker/stream_reader.hpp"
#include "common/broker/topology.hpp"
#include "common/wire/access.hpp"
#include "common/wire/logs.hpp"
#include "reverse-proxy/access_streams.hpp"
#include "reverse-proxy/daemon_peer.hpp"

using namespace karreg;
using namespace karreg::proxy::testing;

TEST_CASE(
    "a proxy follows the scheduler: snapshot, delta, drain, and the whole again when it is lost") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  SlowApp blue;
  App green(App::hello("green"));
  Daemon daemon(data, id, broker);

  CHECK_THAT(daemon.get(),
             Catch::StartsWith("HTTP/1.1 503 ") && Catch::Contains("has just started"));
  REQUIRE(scheduler.gives(wire::RouteSnapshot{3, {route_to(blue.app)}}));

  auto visitor = daemon.client();
  visitor.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  REQUIRE(eventually([&] { return blue.requests == 1; }));
  scheduler.send(wire::RouteUpdate{3, 4, {route_to(green)}, {}});
  const std::map<std::string, int> one_left{{"vm-" + blue.app.address(), 1}};
  REQUIRE(scheduler.hears([&](const auto& r) { return r.version == 4 && r.draining == one_left; }));
  CHECK(body_of(daemon.get()) == "green");
  blue.answer = true;
  CHECK(body_of(visitor.read_message()) == "slow");
  // Sooner than the regular report.
  CHECK(scheduler.hears([](const auto& r) { return r.version == 4 && r.draining.empty(); }, 1s));
  CHECK(blue.requests == 1);

  scheduler.send(wire::RouteUpdate{8, 9, {}, {{"a.test", "/"}}});
  REQUIRE(scheduler.hears([](const auto& r) { return r.version == 4 && r.wants_snapshot; }));
  CHECK(body_of(daemon.get()) == "green");
  scheduler.send(wire::RouteSnapshot{9, {}});
  REQUIRE(scheduler.hears([](const auto& r) { return r.version == 9 && !r.wants_snapshot; }));
  CHECK(status_of(daemon.get()) == "404");

  scheduler.tell(broker::key::proxy_snapshot(id), "{nonsense");
  CHECK(eventually(
      [&] { return daemon.log().find("RouteSnapshot is not valid JSON") != std::string::npos; }));
  // It reports regularly.
  CHECK(scheduler.hears([](const auto& r) { return r.version == 9; }, 5s));
  CHECK(scheduler.hears([](const auto& r) { return r.version == 9; }, 5s));
}

TEST_CASE("a table that is on its way is asked for once") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  App app(App::hello("here"));
  const Daemon daemon(data, id, broker);
  // Long enough that other reports would come due while it is read.
  wire::RouteSnapshot table{1, {route_to(app)}, 0};
  for (int i = 0; i < 5000; ++i) {
    table.routes.push_back(route_to(app));
    table.routes.back().host = "a-" + std::to_string(i) + ".test";
  }
  REQUIRE(scheduler.hears([](const auto& r) { return r.wants_snapshot; }));
  scheduler.send(table);
  bool asked_again = false;
  REQUIRE(scheduler.hears([&](const auto& r) {
    asked_again = asked_again || r.wants_snapshot;
    return r.version == 1;
  }));
  CHECK_FALSE(asked_again);
  CHECK(body_of(daemon.get()) == "here");
}

TEST_CASE("what is not for visitors stands back behind the workers") {
  const test::ScratchFolder data;
  const auto broker = test_broker();
  const Daemon daemon(data, "p-" + ids::uuid(), broker);
  int workers = 0;
  int behind = 0;
  const auto process = std::filesystem::path("/proc") / std::to_string(newest_process(daemon));
  CHECK(test::read_file(process / "comm") == "karreg-proxy\n");
  // A thread takes its name once it runs, which is later than the first answer on a busy machine.
  CHECK(eventually([&] {
    int named = 0;
    for (const auto& thread : std::filesystem::directory_iterator(process / "task"))
      named += test::read_file(thread.path() / "comm") == "worker\n" ? 1 : 0;
    return named == 2;
  }));
  for (const auto& thread : std::filesystem::directory_iterator(process / "task")) {
    const auto id = static_cast<pid_t>(std::stoi(thread.path().filename()));
    if (test::read_file(thread.path() / "comm") == "worker\n") {
      ++workers;
      CHECK(::sched_getscheduler(id) == SCHED_OTHER);
      CHECK(::getpriority(PRIO_PROCESS, static_cast<id_t>(id)) == 0);
    } else if (::sched_getscheduler(id) == SCHED_BATCH) {
      ++behind;
      CHECK(::getpriority(PRIO_PROCESS, static_cast<id_t>(id)) == 10);
    }
  }
  CHECK(workers == 2);
  // The operator's pages, and for routes, traffic and certificates each: who hears, tells, reports.
  CHECK(behind >= 6);
}

TEST_CASE("a proxy that was killed serves again at once, without a broker") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  App app(App::hello("here"));
  {
    Daemon daemon(data, id, broker);
    REQUIRE(scheduler.gives(wire::RouteSnapshot{3, {route_to(app)}}));
    CHECK(std::filesystem::exists(data / ("proxy/" + id + ".json")));
    CHECK(daemon.end(SIGKILL) == 128 + SIGKILL);
  }
  auto nobody = broker;
  nobody.port = 1;
  {
    Daemon daemon(data, id, nobody);
    CHECK(body_of(daemon.get()) == "here");
    CHECK(daemon.end(SIGTERM) == 0);
  }
  Daemon daemon(data, id, broker);
  CHECK(body_of(daemon.get()) == "here");
  REQUIRE(scheduler.hears([](const auto& r) { return r.version == 3 && r.wants_snapshot; }));
}

TEST_CASE("a proxy that is killed right after an acknowledgement knows what it acknowledged") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  auto blue = std::make_unique<App>(App::hello("blue"));
  App green(App::hello("green"));
  {
    Daemon daemon(data, id, broker);
    REQUIRE(scheduler.gives(wire::RouteSnapshot{3, {route_to(*blue)}, 0}));
    scheduler.send(wire::RouteUpdate{3, 4, {route_to(green)}, {}});
    REQUIRE(scheduler.hears([](const auto& r) { return r.version == 4; }));
    CHECK(daemon.end(SIGKILL) == 128 + SIGKILL);
  }
  // What the scheduler does with the acknowledgement.
  blue->stop();
  auto nobody = broker;
  nobody.port = 1;
  Daemon daemon(data, id, nobody);
  CHECK(body_of(daemon.get()) == "green");
}

TEST_CASE("a table that cannot be saved is used and acknowledged all the same") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  App app(App::hello("here"));
  // Not even root can make a file in what is no folder.
  test::write_file(data / "proxy", "");
  Daemon daemon(data, id, broker);
  REQUIRE(scheduler.gives(wire::RouteSnapshot{1, {route_to(app)}, 0}));
  for (std::uint64_t version = 2; version < 5; ++version) {
    scheduler.send(wire::RouteSnapshot{version, {route_to(app)}, 0});
    REQUIRE(scheduler.hears([&](const auto& r) { return r.version == version; }));
  }
  CHECK(body_of(daemon.get()) == "here");
  const auto log = daemon.log();
  const auto first = log.find("routes not saved");
  CHECK(first != std::string::npos);
  // One line, not one per table.
  CHECK(log.find("routes not saved", first + 1) == std::string::npos);
  std::filesystem::remove(data / "proxy");
  CHECK(
      eventually([&] { return daemon.log().find("routes are saved again") != std::string::npos; }));
  CHECK(daemon.end(SIGTERM) == 0);
}

TEST_CASE("SIGTERM drains: the request in hand is answered, then the scheduler knows") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  SlowApp app;
  Daemon daemon(data, id, broker);
  REQUIRE(scheduler.gives(wire::RouteSnapshot{1, {route_to(app.app)}}));
  auto visitor = daemon.client();
  visitor.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  REQUIRE(eventually([&] { return app.requests == 1; }));
  daemon.signal(SIGTERM);
  REQUIRE(eventually([&] { return daemon.is_stopping(); }));
  // The routes go on: what is in hand at an instance that leaves them keeps it alive.
  App green(App::hello("green"));
  scheduler.send(wire::RouteUpdate{1, 2, {route_to(green)}, {}});
  const std::map<std::string, int> one_left{{"vm-" + app.app.address(), 1}};
  bool gone_too_early = false;
  REQUIRE(scheduler.hears([&](const auto& r) {
    gone_too_early = gone_too_early || r.stopping;
    return r.version == 2 && r.draining == one_left;
  }));
  CHECK_FALSE(gone_too_early);
  app.answer = true;
  const auto answer = visitor.read_message();
  CHECK(body_of(answer) == "slow");
  CHECK_THAT(answer, Catch::Contains("\r\nConnection: close\r\n"));
  visitor.close();
  CHECK(daemon.end(0) == 0);
  // The goodbye is the last word.
  CHECK(scheduler.hears([](const auto& r) { return r.stopping; }));
  CHECK_FALSE(scheduler.hears([](const auto&) { return true; }, 500ms));
  CHECK_THAT(daemon.log(), Catch::Contains("drained"));
  const auto line = nlohmann::json::parse(test::read_file(data / "proxy.log.access"));
  CHECK(line["status"] == 200);
}

TEST_CASE("a second signal does not wait for the request in hand") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  SlowApp app;
  Daemon daemon(data, id, broker);
  REQUIRE(scheduler.gives(wire::RouteSnapshot{1, {route_to(app.app)}}));
  auto visitor = daemon.client();
  visitor.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  REQUIRE(eventually([&] { return app.requests == 1; }));
  daemon.signal(SIGTERM);
  REQUIRE(eventually([&] { return daemon.is_stopping(); }));
  const auto begun = std::chrono::steady_clock::now();
  CHECK(daemon.end(SIGTERM) == 0);
  CHECK(std::chrono::steady_clock::now() - begun < 5s);
  CHECK(scheduler.hears([](const auto& r) { return r.stopping; }));
  CHECK_THAT(daemon.log(), Catch::Contains("drained, 1 requests cut"));
  const auto line = nlohmann::json::parse(test::read_file(data / "proxy.log.access"));
  CHECK(line["error"] == "cut: the proxy stopped");
  app.answer = true;
}

TEST_CASE("an address that is taken is an error that names the setting") {
  const test::ScratchFolder data;
  App taken([](Peer&, int) {});
  const auto ran = test::run(
      "KARREG_DATA_DIR=" + data.path().string() + " KARREG_PROXY_LISTEN=" + taken.address() +
      " KARREG_PROXY_ADMIN_LISTEN=127.0.0.1:0 " + test::program("karreg-proxy"));
  CHECK(ran.exit_code == 9);
  CHECK_THAT(ran.output, Catch::Contains("setting proxy.listen: cannot listen on " +
                                         taken.address() + ": Address already in use"));
}

TEST_CASE("each request is told to the access log of its application") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  App app(App::hello("here"));
  auto route = route_to(app);
  route.app_id = "app_" + ids::uuid();
  Daemon daemon(data, id, broker);
  REQUIRE(scheduler.gives(wire::RouteSnapshot{1, {route}}));
  for (int i = 0; i < 3; ++i) CHECK(body_of(daemon.get()) == "here");
  auto stranger = daemon.client();
  stranger.send("GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n");
  CHECK(status_of(stranger.read_message()) == "404");

  const auto stream = broker::access_stream(route.app_id);
  std::optional<broker::StreamReader> reader;
  REQUIRE(eventually([&] {
    auto opened = broker::StreamReader::open(broker, stream, {});
    if (opened) reader = std::move(*opened);
    return reader.has_value();
  }));
  std::vector<wire::AccessEntry> entries;
  REQUIRE(eventually([&] {
    auto delivery = reader->next(1s);
    REQUIRE(delivery);
    if (!*delivery) return false;
    const auto batch = wire::from_text<wire::LogBatch>((*delivery)->body, "LogBatch");
    REQUIRE(batch);
    CHECK(batch->app_id == route.app_id);
    CHECK(batch->service == wire::access_service);
    CHECK(batch->dropped == 0);
    for (const auto& line : batch->lines)
      entries.push_back(*wire::from_text<wire::AccessEntry>(line.text, "AccessEntry"));
    return entries.size() == 3;
  }));
  CHECK(entries[0].client == "127.0.0.1");
  CHECK(entries[0].host == "a.test");
  CHECK(entries[0].status == 200);
  CHECK(entries[0].instance_id == "vm-" + app.address());
  CHECK(entries[0].protocol == "HTTP/1.1");
  CHECK(daemon.end(SIGTERM) == 0);
  broker::Publisher cleaner(broker);
  REQUIRE(cleaner.delete_queue(stream));
  cleaner.stop(5s);
}

TEST_CASE("many requests of one application go in messages of a bounded size, in order") {
  const auto broker = test_broker();
  const auto app = "app_" + ids::uuid();
  constexpr int requests = 1'200;
  {
    proxy::AccessStreams streams(broker);
    proxy::AccessRecord record;
    record.app = app;
    for (int i = 0; i < requests; ++i) {
      const auto path = std::to_string(i);
      record.target = path;
      streams.write(record);
    }
    CHECK(streams.dropped() == 0);
  }
  const auto stream = broker::access_stream(app);
  auto reader = broker::StreamReader::open(broker, stream, {});
  REQUIRE(reader);
  int seen = 0;
  while (seen < requests) {
    auto delivery = reader->next(10s);
    REQUIRE(delivery);
    REQUIRE(*delivery);
    const auto batch = wire::from_text<wire::LogBatch>((*delivery)->body, "LogBatch");
    REQUIRE(batch);
    CHECK(batch->lines.size() <= 500);
    for (const auto& line : batch->lines) {
      const auto entry = wire::from_text<wire::AccessEntry>(line.text, "AccessEntry");
      REQUIRE(entry);
      REQUIRE(entry->path == std::to_string(seen++));
    }
  }
  broker::Publisher cleaner(broker);
  REQUIRE(cleaner.delete_queue(stream));
  cleaner.stop(5s);
}

TEST_CASE("a proxy without work rests, also while its broker is away") {
  const test::ScratchFolder data;
  auto nobody = test_broker();
  nobody.port = 1;
  Daemon daemon(data, "p-" + ids::uuid(), nobody);
  const auto stat = "/proc/" + std::to_string(newest_process(daemon)) + "/stat";
  // Seconds of processor (proc(5): utime and stime, after the name, which may hold blanks).
  auto used = [&] {
    const auto text = test::read_file(stat);
    std::istringstream fields(text.substr(text.rfind(')') + 2));
    std::string skipped;
    for (int i = 0; i < 11; ++i) fields >> skipped;
    double user = 0;
    double system = 0;
    fields >> user >> system;
    return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
  };
  const auto before = used();
  const auto by = std::chrono::steady_clock::now() + 6s;
  // Longer than between two reports, of which none is confirmed.
  REQUIRE(eventually([&] { return std::chrono::steady_clock::now() > by; }));
  CHECK(used() - before < 0.5);
  CHECK(daemon.end(SIGTERM) == 0);
}
