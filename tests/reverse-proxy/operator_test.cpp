// What operators see: settings, the access log, the saved table, the admin pages.
#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "common/json.hpp"
#include "reverse-proxy/admin.hpp"
#include "reverse-proxy/loopback.hpp"
#include "reverse-proxy/saved_routes.hpp"
#include "reverse-proxy/settings.hpp"
#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;
using nlohmann::json;

namespace {
std::string settings_error(std::map<std::string, std::string> environment) {
  environment.emplace("KARREG_DATA_DIR", "/data");
  const auto config = Config::load(declared_settings(), "", environment);
  if (!config) return config.error().message();
  const auto settings = read_settings(*config);
  return settings ? "" : settings.error().message();
}
}  // namespace

TEST_CASE("a wrong setting is named") {
  CHECK(settings_error({}).empty());
  CHECK(settings_error({{"KARREG_PROXY_ID", "Proxy 1"}}) ==
        "setting proxy.id = \"Proxy 1\" must be lower-case letters, digits and dashes");
  CHECK(settings_error({{"KARREG_PROXY_LISTEN", "8080"}}) ==
        "setting proxy.listen: \"8080\" must be an address and a port, such as 127.0.0.1:8080");
  CHECK(settings_error({{"KARREG_PROXY_WORKERS", "-1"}}) ==
        "setting proxy.workers = \"-1\" must be a whole number from 0 to 256");
  CHECK(settings_error({{"KARREG_PROXY_HELD_PER_APP", "0"}}) ==
        "setting proxy.held_per_app = \"0\" must be a whole number from 1 to 100000");
  CHECK(settings_error({{"KARREG_PROXY_HOLD_TIMEOUT", "0s"}}) ==
        "setting proxy.hold_timeout must be longer than 0");
  CHECK(settings_error({{"KARREG_PROXY_APP_SHARE", "0"}}) ==
        "setting proxy.app_share = \"0\" must be a whole number from 1 to 100");
  CHECK(settings_error({{"KARREG_PROXY_DRAIN_TIMEOUT", "soon"}}) ==
        "setting proxy.drain_timeout = \"soon\" must be a duration such as 500ms, 30s, 10m or 2h");
  CHECK(settings_error({{"KARREG_PROXY_IDLE_TIMEOUT", "0s"}}) ==
        "setting proxy.idle_timeout must be longer than 0");
  CHECK(settings_error({{"KARREG_PROXY_TRUST_FORWARDED", "yes"}}) ==
        "setting proxy.trust_forwarded = \"yes\" must be true or false");
  CHECK(settings_error(
            {{"KARREG_PROXY_TLS_LISTEN", "443"}, {"KARREG_PROXY_CERTIFICATES", "/certificates"}}) ==
        "setting proxy.tls_listen: \"443\" must be an address and a port, such as 127.0.0.1:8080");
  CHECK(settings_error({{"KARREG_PROXY_TLS_LISTEN", "127.0.0.1:443"}}) ==
        "setting proxy.tls_listen needs certificates: give setting proxy.certificates a folder "
        "with them, or setting secrets.key_file the platform's key, with which those are opened "
        "that the platform gets");
  CHECK(settings_error({{"KARREG_TCP_PORTS", "4000"}}) ==
        "setting tcp.ports: \"4000\" must be a first and a last port, such as 4000-4999");
  CHECK(settings_error({{"KARREG_PROXY_TCP_LISTEN", "0.0.0.0"}}) ==
        "setting proxy.tcp_listen = \"0.0.0.0\" needs setting tcp.ports, the ports that it may "
        "open");
  CHECK(settings_error(
            {{"KARREG_PROXY_TCP_LISTEN", "0.0.0.0:80"}, {"KARREG_TCP_PORTS", "4000-4999"}}) ==
        "setting proxy.tcp_listen = \"0.0.0.0:80\" must be an address without a port, such as "
        "0.0.0.0");
  CHECK(
      settings_error({{"KARREG_PROXY_TCP_LISTEN", "0.0.0.0"}, {"KARREG_TCP_PORTS", "8000-8999"}}) ==
      "setting proxy.tcp_listen = \"0.0.0.0\" cannot have the port of setting proxy.listen: "
      "choose other ones in setting tcp.ports");
}

TEST_CASE("settings reach the proxy") {
  const auto config = Config::load(declared_settings(), "",
                                   {{"KARREG_DATA_DIR", "/data"},
                                    {"KARREG_PROXY_ID", "edge-2"},
                                    {"KARREG_PROXY_WORKERS", "3"},
                                    {"KARREG_PROXY_APP_SHARE", "50"},
                                    {"KARREG_PROXY_LISTEN", "[::1]:81"},
                                    {"KARREG_PROXY_TLS_LISTEN", "[::1]:444"},
                                    {"KARREG_PROXY_CERTIFICATES", "/certificates"},
                                    {"KARREG_PROXY_TCP_LISTEN", "::1"},
                                    {"KARREG_TCP_PORTS", "4000-4099"},
                                    {"KARREG_PROXY_TCP_IDLE_TIMEOUT", "2h"},
                                    {"KARREG_PROXY_ANSWER_TIMEOUT", "7s"}});
  REQUIRE(config);
  const auto settings = read_settings(*config);
  REQUIRE(settings);
  CHECK(settings->tcp_listen == "::1");
  CHECK(settings->tcp_ports == PortRange{4000, 4099});
  CHECK(settings->options.limits.tcp_idle_time == 2h);
  CHECK(settings->saved_routes == "/data/proxy/edge-2.json");
  CHECK(settings->options.workers == 3);
  CHECK(settings->options.listen.host == "::1");
  CHECK(settings->options.listen.port == 81);
  REQUIRE(settings->options.tls_listen);
  CHECK(settings->options.tls_listen->port == 444);
  CHECK(settings->certificates == "/certificates");
  CHECK(settings->options.limits.answer_time == 7s);
  CHECK(settings->options.limits.connections == 20'000);
  CHECK(settings->options.limits.per_app() == 10'000);
}

TEST_CASE("an access line of the Combined Log Format is one line whatever a client sends") {
  AccessRecord record;
  record.begun =
      std::chrono::system_clock::time_point(std::chrono::milliseconds(1'700'000'000'007));
  record.client = "192.0.2.7";
  record.method = "GET";
  record.target = "/a\"b\n\xff";
  record.protocol = "HTTP/1.1";
  record.status = 200;
  record.bytes_out = 20;
  record.referer = "https://a.test/\\";
  std::string line;
  append_access_line(line, record, AccessFormat::clf);
  CHECK(line == R"(192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] "GET /a\"b\x0a\xff HTTP/1.1" 200 20 )"
                R"("https://a.test/\\" "-")"
                "\n");
  // What did not become a request.
  line.clear();
  append_access_line(line, {.begun = record.begun, .client = "192.0.2.7", .status = 400},
                     AccessFormat::clf);
  CHECK(line == R"(192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] "-" 400 0 "-" "-")"
                "\n");
}

TEST_CASE("an access line is JSON whatever a client sends") {
  AccessRecord record;
  record.begun =
      std::chrono::system_clock::time_point(std::chrono::milliseconds(1'700'000'000'007));
  record.took = std::chrono::microseconds(1500);
  record.to_first_byte = std::chrono::microseconds(900);
  record.request_id = "id";
  record.client = "192.0.2.7";
  record.method = "GET";
  record.host = "a.test";
  const std::string hostile = "/\"\\\n\x01\xff\xc3\xa9\xed\xa0\x80";
  record.target = hostile;
  record.user_agent = "agent \"x\"";
  record.app = "app_1";
  record.instance = "vm-1";
  record.status = 200;
  record.attempts = 2;
  record.bytes_in = 10;
  record.bytes_out = 20;
  std::string line;
  append_access_line(line, record);
  REQUIRE(line.ends_with("}\n"));
  CHECK(line.find('\n') == line.size() - 1);
  const auto j = json::parse(line);
  CHECK(j["time"] == "2023-11-14T22:13:20.007Z");
  CHECK(j["ms"] == 1.5);
  CHECK(j["first_byte_ms"] == 0.9);
  CHECK(j["target"] == "/\"\\\n\x01\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(j["user_agent"] == "agent \"x\"");
  CHECK(j["status"] == 200);
  CHECK(j["attempts"] == 2);
  CHECK(j["instance"] == "vm-1");
  CHECK_FALSE(j.contains("error"));
}

TEST_CASE("every request has its line in the access log") {
  const test::ScratchFolder folder;
  const auto file = folder / "access.log";
  {
    auto log = AccessLog::open(file.string());
    REQUIRE(log);
    Proxy proxy({}, **log);
    REQUIRE(proxy.start());
    App app(App::hello("hi"));
    const auto table = RouteTable::from({1, {Loopback::a_route("a.test", {&app})}});
    REQUIRE(proxy.use(*table));
    auto client = Peer::connect(proxy.port());
    client.send("GET /x HTTP/1.1\r\nHost: a.test\r\nUser-Agent: test\r\n\r\n");
    CHECK(body_of(client.read_message()) == "hi");
    client.send("GET /y HTTP/1.1\r\nHost: b.test\r\n\r\n");
    CHECK(status_of(client.read_message()) == "404");
    client.send("nonsense\r\n\r\n");
    CHECK(status_of(client.read_message()) == "400");
    proxy.stop(1s);
  }
  std::vector<json> lines;
  std::istringstream text(test::read_file(file));
  for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
  REQUIRE(lines.size() == 3);
  CHECK(lines[0]["target"] == "/x");
  CHECK(lines[0]["status"] == 200);
  CHECK(lines[0]["app"] == "app_a.test");
  CHECK(lines[0]["user_agent"] == "test");
  CHECK(lines[0]["bytes_in"] == 51);
  CHECK(lines[1]["status"] == 404);
  CHECK(lines[1]["error"] == "unknown host");
  CHECK(lines[2]["status"] == 400);
  CHECK(lines[2]["error"] == "the request line is not \"method target version\"");
}

TEST_CASE("lines that the access log's reader does not take are counted, and the next ones whole") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
  REQUIRE(::fcntl(ends[1], F_SETPIPE_SZ, 4096) > 0);
  std::string text;
  auto read_all = [&] {
    char bytes[4096];
    for (ssize_t n = 0; (n = ::read(ends[0], bytes, sizeof bytes)) > 0;)
      text.append(bytes, static_cast<std::size_t>(n));
  };
  constexpr std::uint64_t records = 400;
  {
    AccessLog log(ends[1], true);
    AccessRecord record;
    record.begun = std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000));
    record.target = "/some/path/that/fills/the/pipe";
    record.status = 200;
    // Twice: also after it has been well again.
    for (int outage = 1; outage <= 2; ++outage) {
      const auto before = log.dropped();
      for (std::uint64_t i = 0; i < records; ++i) log.write(record);
      REQUIRE(eventually([&] { return log.dropped() > before; }));
      // The reader reads again: the log says what is missing.
      auto told = [&] {
        read_all();
        std::uint64_t sum = 0;
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);)
          if (const auto j = json::parse(line, nullptr, false); j.contains("dropped_lines"))
            sum += j["dropped_lines"].get<std::uint64_t>();
        return sum;
      };
      CHECK(eventually([&] { return told() == log.dropped(); }));
    }
    CHECK(log.dropped() > 0);
    Proxy proxy({}, log);
    CHECK_THAT(proxy.metrics(), Catch::Contains("\nkarreg_proxy_access_log_dropped_total " +
                                                std::to_string(log.dropped()) + "\n"));
  }
  read_all();
  ::close(ends[0]);
  std::uint64_t whole = 0;
  std::uint64_t dropped = 0;
  int torn = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto j = json::parse(line, nullptr, false);
    if (j.is_discarded())
      ++torn;
    else if (j.contains("dropped_lines"))
      dropped += j["dropped_lines"].get<std::uint64_t>();
    else
      ++whole;
  }
  CHECK(whole > 0);
  CHECK(whole + dropped == 2 * records);
  // What a write that was cut short left of a line, one for each outage at most.
  CHECK(torn <= 2);
}

TEST_CASE("a request that the proxy cuts when it stops is counted, told, and nobody's fault") {
  const test::ScratchFolder folder;
  const auto file = folder / "access.log";
  App silent([](Peer& peer, int) { (void)peer.read_to_end(20s); });
  App half([](Peer& peer, int) {
    (void)peer.read_message();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    (void)peer.read_to_end(20s);
  });
  App tunnel([](Peer& peer, int) {
    (void)peer.read_head();
    peer.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    (void)peer.read_to_end(20s);
  });
  {
    auto log = AccessLog::open(file.string());
    REQUIRE(log);
    Proxy proxy({}, **log);
    REQUIRE(proxy.start());
    const auto table = RouteTable::from(
        {1,
         {Loopback::a_route("a.test", {&silent}), Loopback::a_route("b.test", {&half}),
          Loopback::a_route("c.test", {&tunnel})},
         0});
    REQUIRE(proxy.use(*table));
    auto without_answer = Peer::connect(proxy.port());
    without_answer.send("GET /silent HTTP/1.1\r\nHost: a.test\r\n\r\n");
    auto upload = Peer::connect(proxy.port());
    upload.send("POST /upload HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\nhello");
    auto small = Peer::connect(proxy.port());
    small.send("POST /small HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\nhello");
    auto within = Peer::connect(proxy.port());
    within.send("GET /half HTTP/1.1\r\nHost: b.test\r\n\r\n");
    CHECK_THAT(within.read_until("hello"), Catch::EndsWith("hello"));
    auto open = Peer::connect(proxy.port());
    open.send(
        "GET /tunnel HTTP/1.1\r\nHost: c.test\r\nConnection: Upgrade\r\nUpgrade: "
        "websocket\r\n\r\n");
    CHECK(status_of(open.read_head()) == "101");
    auto idle = Peer::connect(proxy.port());
    REQUIRE(eventually([&] { return silent.connections() == 2 && proxy.open_connections() == 6; }));
    // One of them is in the middle of a body that the proxy takes in first.
    CHECK(proxy.stop(300ms) == 5);
    const auto routes = describe_routes(proxy);
    for (const auto& route : routes["routes"]) CHECK(route["backends"][0]["set_aside"] == false);
    for (const std::string name :
         {"truncated_total", "backend_failures_total", "client_left_total"})
      CHECK_THAT(proxy.metrics(), Catch::Contains("\nkarreg_proxy_" + name + " 0\n"));
  }
  std::map<std::string, json> lines;
  std::istringstream text(test::read_file(file));
  for (std::string line; std::getline(text, line);) {
    auto parsed = json::parse(line);
    lines[parsed["target"]] = parsed;
  }
  CHECK(lines.size() == 5);
  for (const auto& [target, line] : lines) {
    INFO(target);
    CHECK(line["error"] == "cut: the proxy stopped");
  }
  CHECK(lines["/silent"]["status"] == 0);
  CHECK(lines["/upload"]["status"] == 0);
  CHECK(lines["/small"]["status"] == 0);
  CHECK(lines["/half"]["status"] == 200);
  CHECK(lines["/tunnel"]["status"] == 101);
}

TEST_CASE("an access log that cannot be opened names the setting and the file") {
  const auto log = AccessLog::open("/no/such/folder/access.log");
  REQUIRE_FALSE(log);
  CHECK(log.error().message() ==
        "setting proxy.access_log: cannot open /no/such/folder/access.log: No such file or "
        "directory");
}

TEST_CASE("a connection of a TCP service has a line of its own kind") {
  AccessRecord record;
  record.begun = std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000));
  record.took = std::chrono::milliseconds(1500);
  record.protocol = tcp_protocol;
  record.port = 4000;
  record.client = "192.0.2.7";
  record.app = "app_1";
  record.instance = "vm-1";
  record.attempts = 1;
  record.bytes_in = 3;
  record.bytes_out = 4;
  record.ended_by = "client";
  std::string line;
  append_access_line(line, record);
  CHECK(line ==
        R"({"time":"2023-11-14T22:13:20.000Z","client":"192.0.2.7","protocol":"tcp","port":4000,)"
        R"("ms":1500.000,"bytes_in":3,"bytes_out":4,"app":"app_1","instance":"vm-1",)"
        R"("ended_by":"client"})"
        "\n");
  line.clear();
  append_access_line(line, record, AccessFormat::clf);
  CHECK(line == "192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] \"TCP :4000 -\" 0 4 \"-\" \"-\"\n");
}

TEST_CASE("a table is found again as it was saved") {
  const test::ScratchFolder folder;
  const auto file = folder / "proxy/one.json";
  SavedRoutes saved(file);
  const auto missing = saved.load();
  REQUIRE_FALSE(missing);
  CHECK(missing.error().kind() == ErrorKind::not_found);
  wire::Route route;
  route.host = "a.test";
  route.backends.push_back({"vm-1", "127.0.0.1:80"});
  const wire::TcpRoute tcp{4000, "app_1", {{"vm-1", "127.0.0.1:4040"}}};
  const auto table = RouteTable::from({5, {route}, 0, {tcp}});
  REQUIRE(table);
  for (int i = 0; i < 2; ++i) {
    REQUIRE(saved.save(*table));
    const auto loaded = saved.load();
    REQUIRE(loaded);
    CHECK(*loaded == *table);
  }
  test::write_file(file, "{\"version\": 5, \"routes\": [");
  const auto broken = saved.load();
  REQUIRE_FALSE(broken);
  CHECK(broken.error().message() == file.string() + " is not valid JSON");
}

TEST_CASE("updates are saved after the whole, and found again up to where they are torn") {
  const test::ScratchFolder folder;
  const auto file = folder / "one.json";
  const auto journal = folder / "one.json.journal";
  auto route = [](const std::string& host) {
    wire::Route made;
    made.host = host;
    made.backends.push_back({"vm-" + host, "127.0.0.1:80"});
    return made;
  };
  auto table = RouteTable::from({5, {route("a.test")}});
  REQUIRE(table);
  SavedRoutes saved(file);
  CHECK_FALSE(saved.can_append());
  REQUIRE(saved.save(*table));
  REQUIRE(saved.can_append());
  const std::vector<wire::RouteUpdate> updates{
      {5, 6, {route("b.test")}, {}, {{4000, "app_1", {}}}, {}}, {6, 8, {}, {{"a.test", "/"}}}};
  REQUIRE(saved.append(updates));
  for (const auto& update : updates) REQUIRE(table->apply(update));
  auto loaded = saved.load();
  REQUIRE(loaded);
  CHECK(*loaded == *table);

  const auto whole_journal = test::read_file(journal);
  // The machine lost its power within the second update.
  test::write_file(journal, whole_journal.substr(0, whole_journal.size() - 2));
  loaded = saved.load();
  REQUIRE(loaded);
  CHECK(loaded->version() == 6);
  CHECK(loaded->size() == 2);

  // It lost its power between a new whole and its journal: the old one leads on from another table.
  const auto other = RouteTable::from({5, {route("c.test")}});
  REQUIRE(other);
  REQUIRE(saved.save(*other));
  test::write_file(journal, whole_journal);
  loaded = saved.load();
  REQUIRE(loaded);
  CHECK(*loaded == *other);
}

TEST_CASE("a journal does not grow for ever") {
  const test::ScratchFolder folder;
  SavedRoutes saved(folder / "one.json");
  wire::Route route;
  route.host = "a.test";
  route.app_id = std::string(100'000, 'a');
  auto table = RouteTable::from({1, {route}});
  REQUIRE(table);
  REQUIRE(saved.save(*table));
  int appended = 0;
  for (; saved.can_append() && appended < 100; ++appended) {
    const wire::RouteUpdate update{table->version(), table->version() + 1, {route}, {}};
    REQUIRE(table->apply(update));
    REQUIRE(saved.append({update}));
  }
  CHECK(appended > 5);
  CHECK(appended < 20);
  REQUIRE(saved.save(*table));
  CHECK(saved.can_append());
  const auto loaded = saved.load();
  REQUIRE(loaded);
  CHECK(*loaded == *table);
}

TEST_CASE("the admin pages tell health, figures and routes") {
  Loopback loop;
  App app(App::hello("hi"));
  loop.serve({&app});
  CHECK(body_of(loop.get()) == "hi");
  const Control control("proxy-1", "/nowhere", {}, loop.proxy);
  asio::io_context io;
  Admin admin(io.get_executor(), loop.proxy, control);
  auto listener = open_listeners({"127.0.0.1", 0}, 1, false, "proxy.admin_listen");
  REQUIRE(listener);
  REQUIRE(admin.start(std::move(listener->front())));
  std::thread thread([&] { io.run_for(10s); });
  auto ask = [&](const std::string& path, const std::string& method = "GET") {
    auto peer = Peer::connect(admin.port());
    peer.send(method + " " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
    return peer.read_message();
  };
  const auto health = ask("/healthz");
  CHECK(status_of(health) == "200");
  CHECK(json::parse(body_of(health))["status"] == "ok");
  // A request is counted when it is over, a moment after its answer.
  REQUIRE(eventually([&] { return loop.metric("request_seconds_count") == "1"; }));
  CHECK_THAT(body_of(ask("/metrics")),
             Catch::Contains("karreg_proxy_answers_total{class=\"2xx\"} 1\n") &&
                 Catch::Contains("karreg_proxy_request_seconds_count 1\n"));
  const auto routes = json::parse(body_of(ask("/routes")));
  CHECK(routes["version"] == 1);
  CHECK(routes["routes"][0]["host"] == "a.test");
  CHECK(routes["routes"][0]["backends"][0]["address"] == app.address());
  CHECK(routes["routes"][0]["backends"][0]["requests"] == 1);
  CHECK(status_of(ask("/other")) == "404");
  CHECK(status_of(ask("/routes", "POST")) == "405");
  asio::post(io, [&] { admin.say_stopping(); });
  CHECK(eventually([&] { return status_of(ask("/healthz")) == "503"; }));
  io.stop();
  thread.join();
}
