// The log stream of an application over HTTP, against a real karreg-api and broker; the test plays
// the machines that write it.
#include <atomic>
#include <future>
#include <mutex>

#include "common/broker/broker_cut.hpp"
#include "common/broker/publisher.hpp"
#include "common/broker/topology.hpp"
#include "common/wire/access.hpp"
#include "common/wire/json.hpp"
#include "common/wire/logs.hpp"
#include "support/an_api.hpp"

using namespace karreg;
using namespace karreg::test;
using namespace std::chrono_literals;

namespace {

/// One server-sent event.
struct Event {
  std::string id;
  std::string name;
  std::string data;
  std::string message() const { return Json::parse(data).at("message").get<std::string>(); }
};

std::vector<Event> events_of(const std::string& text) {
  std::vector<Event> events;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find("\n\n", at);
    if (end == std::string::npos) break;
    Event event;
    for (std::size_t line = at; line < end;) {
      const auto stop = std::min(text.find('\n', line), end);
      const std::string field = text.substr(line, stop - line);
      if (field.starts_with("id: ")) event.id = field.substr(4);
      if (field.starts_with("event: ")) event.name = field.substr(7);
      if (field.starts_with("data: ")) event.data = field.substr(6);
      line = stop + 1;
    }
    events.push_back(event);
    at = end + 2;
  }
  return events;
}

std::vector<std::string> messages_of(const std::vector<Event>& events) {
  std::vector<std::string> messages;
  for (const auto& event : events)
    if (event.name == "APPLICATION_LOG") messages.push_back(event.message());
  return messages;
}

/// What a client that heard these sends as Last-Event-ID.
std::string last_id_of(const std::vector<Event>& events) {
  std::string id;
  for (const auto& event : events)
    if (!event.id.empty()) id = event.id;
  return id;
}

struct Streamed {
  http::Response head;
  std::vector<Event> events;
};

/// Reads a stream until it ends, or until @p enough says so.
Streamed read_stream(const AnApi& api, const std::string& authorization, const std::string& path,
                     const http::Headers& headers = {},
                     const std::function<bool(const std::vector<Event>&)>& enough = {}) {
  http::ClientRequest request{"GET", api.url() + path, headers, {}};
  request.headers.add("Authorization", authorization);
  request.deadline = 30s;
  std::string text;
  auto head = http::stream_blocking(std::move(request), [&](std::string_view piece) {
    text += piece;
    return !enough || !enough(events_of(text));
  });
  INFO(path << "\n" << text);
  REQUIRE(head);
  return {*head, events_of(text)};
}

std::string path_of(const std::string& app, const std::string& query) {
  return "/v4/logs/organisations/self/applications/" + app + "/logs" + query;
}

/// Writes @p count lines, each a message of its own, and waits for the broker to have them.
void write_lines(const std::string& app, int first, int count) {
  broker::Publisher publisher(test_broker());
  std::atomic<int> confirmed{0};
  for (int i = first; i < first + count; ++i) {
    wire::LogBatch batch;
    batch.app_id = app;
    batch.service = "karreg";
    batch.lines.push_back({std::chrono::system_clock::now().time_since_epoch().count(), "stdout",
                           "line " + std::to_string(i)});
    REQUIRE(publisher.publish_to_stream(broker::log_stream(app), wire::to_text(batch),
                                        [&](Result<void> done) {
                                          if (done) ++confirmed;
                                        }));
  }
  eventually("the broker has the lines", [&] { return confirmed == count; });
  publisher.stop(1s);
}

/// A moment that is over: a stream until then is finite.
std::string until_now() {
  return "&until=" + must_run("date -u +%Y-%m-%dT%H:%M:%S.%3NZ | tr -d '\\n'");
}
const std::string since_long = "?since=2026-01-01T00:00:00Z";

std::vector<std::string> lines(int first, int count) {
  std::vector<std::string> all;
  for (int i = first; i < first + count; ++i) all.push_back("line " + std::to_string(i));
  return all;
}

}  // namespace

TEST_CASE("a finite log is whole, can be limited, and is resumed after the last line read") {
  AnApi api("logs");
  const User ann = api.make_user("ann@example.org");
  const std::string app = api.make_app(ann, "shop");
  write_lines(app, 0, 150);
  const auto whole = read_stream(api, ann.bearer(), path_of(app, since_long + until_now()));
  CHECK(whole.head.headers.get("Content-Type") == "text/event-stream");
  CHECK(messages_of(whole.events) == lines(0, 150));
  REQUIRE(whole.events.back().name == "END_OF_STREAM");
  CHECK(whole.events.back().data == R"({"endedBy":"UNTIL_REACHED"})");

  const auto limited =
      read_stream(api, ann.bearer(), path_of(app, since_long + "&limit=3" + until_now()));
  CHECK(messages_of(limited.events) == lines(0, 3));
  CHECK(limited.events.back().data == R"({"endedBy":"LIMIT_REACHED"})");

  const auto rest = read_stream(api, ann.bearer(), path_of(app, since_long + until_now()),
                                {{"Last-Event-ID", last_id_of(limited.events)}});
  CHECK(messages_of(rest.events) == lines(3, 147));

  const auto bad = api.call(ann, "GET", path_of(app, "?limit=many"));
  CHECK(bad.status == 400);
  CHECK(message_of(bad) ==
        "the parameter limit must be a number from 0 to 1000000000, not \"many\"");
}

TEST_CASE("a line says which worker printed it, if one did") {
  AnApi api("logs");
  const User ann = api.make_user("ann@example.org");
  const std::string app = api.make_app(ann, "shop");
  broker::Publisher publisher(test_broker());
  wire::LogBatch batch;
  batch.app_id = app;
  batch.service = "app";
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  batch.lines = {{now, "out", "of the app"}, {now, "err", "of a worker", "mail"}};
  std::atomic<bool> confirmed{false};
  REQUIRE(
      publisher.publish_to_stream(broker::log_stream(app), wire::to_text(batch),
                                  [&](const Result<void>& done) { confirmed = done.has_value(); }));
  eventually("the broker has the lines", [&] { return confirmed.load(); });
  publisher.stop(1s);
  const auto seen = read_stream(api, ann.bearer(), path_of(app, since_long + until_now()));
  std::vector<Json> data;
  for (const auto& event : seen.events)
    if (event.name == "APPLICATION_LOG") data.push_back(Json::parse(event.data));
  REQUIRE(data.size() == 2);
  CHECK_FALSE(data[0].contains("process"));
  CHECK(data[1].at("process") == "mail");
  CHECK(data[1].at("service") == "app");
}

TEST_CASE("an app's requests are a log of their own, in the form that clever-tools reads") {
  AnApi api("accesslogs");
  const User ann = api.make_user("ann@example.org");
  const User eve = api.make_user("eve@example.org");
  const std::string app = api.make_app(ann, "shop");
  broker::Publisher publisher(test_broker());
  wire::LogBatch batch;
  batch.app_id = app;
  batch.service = wire::access_service;
  batch.dropped = 3;
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  for (const auto* instance : {"vm-1", "vm-2"}) {
    wire::AccessEntry entry;
    entry.client = "192.0.2.7";
    entry.method = "GET";
    entry.path = std::string("/from/") + instance;
    entry.status = 404;
    entry.bytes_out = 20;
    entry.instance_id = instance;
    batch.lines.push_back({now, "", wire::to_text(entry)});
  }
  // A connection of a TCP service stands in the place of a request.
  wire::AccessEntry connection;
  connection.protocol = connection.scheme = "tcp";
  connection.port = 4000;
  connection.bytes_in = 7;
  batch.lines.push_back({now, "", wire::to_text(connection)});
  std::atomic<bool> confirmed{false};
  REQUIRE(
      publisher.publish_to_stream(broker::access_stream(app), wire::to_text(batch),
                                  [&](const Result<void>& done) { confirmed = done.has_value(); }));
  eventually("the broker has the lines", [&] { return confirmed.load(); });
  publisher.stop(1s);

  const auto path = "/v4/accesslogs/organisations/self/applications/" + app + "/accesslogs" +
                    since_long + until_now();
  auto requests_of = [](const std::vector<Event>& events) {
    std::vector<Json> requests;
    for (const auto& event : events)
      if (event.name == "ACCESS_LOG") requests.push_back(Json::parse(event.data));
    return requests;
  };
  const auto whole = read_stream(api, ann.bearer(), path);
  const auto requests = requests_of(whole.events);
  REQUIRE(requests.size() == 4);
  // What was lost is told, and clients that want requests pass over it.
  CHECK(requests[0]["http"].is_null());
  CHECK(requests[0]["message"].get<std::string>().starts_with("3 older lines were dropped"));
  CHECK(requests[1]["source"]["ip"] == "192.0.2.7");
  CHECK(requests[1]["bytesOut"] == 20);
  CHECK(requests[1]["http"]["request"]["method"] == "GET");
  CHECK(requests[1]["http"]["request"]["path"] == "/from/vm-1");
  CHECK(requests[1]["http"]["response"]["statusCode"] == 404);
  CHECK(requests[3]["http"]["request"]["method"] == "TCP");
  CHECK(requests[3]["http"]["request"]["path"] == ":4000");
  CHECK(requests[3]["bytesIn"] == 7);
  CHECK(whole.events.back().name == "END_OF_STREAM");

  const auto of_one = requests_of(read_stream(api, ann.bearer(), path + "&instanceId=vm-2").events);
  REQUIRE(of_one.size() == 1);
  CHECK(of_one[0]["http"]["request"]["path"] == "/from/vm-2");
  CHECK(api.call(ann, "GET", path + "&deploymentId=d").status == 400);
  // It is nobody else's, and not among what the app printed.
  CHECK(api.call(eve, "GET", path).status == 404);
  CHECK(messages_of(read_stream(api, ann.bearer(), path_of(app, since_long + until_now())).events)
            .empty());
}

TEST_CASE("the log of an app that never printed anything ends at once") {
  AnApi api("silent");
  const User ann = api.make_user("ann@example.org");
  const auto empty =
      read_stream(api, ann.bearer(), path_of(api.make_app(ann, "shop"), since_long + until_now()));
  CHECK(messages_of(empty.events).empty());
  CHECK(empty.events.back().data == R"({"endedBy":"UNTIL_REACHED"})");
}

TEST_CASE("a broker that takes its time makes no log look empty, and heartbeats go on meanwhile") {
  Cut between(test_broker());
  AnApi api("slow", {}, between.address());
  const User ann = api.make_user("ann@example.org");
  const std::string app = api.make_app(ann, "shop");
  write_lines(app, 0, 5);
  between.mute(true);
  // Mute for four heartbeats: longer than any poll.
  std::vector<std::chrono::steady_clock::time_point> heard;
  const auto whole = read_stream(api, ann.bearer(), path_of(app, since_long + until_now()), {},
                                 [&](const std::vector<Event>& events) {
                                   heard.push_back(std::chrono::steady_clock::now());
                                   if (events.size() == 4) between.mute(false);
                                   return false;
                                 });
  REQUIRE(whole.events.size() > 4);
  for (std::size_t i = 0; i < 4; ++i) CHECK(whole.events[i].name == "HEARTBEAT");
  for (std::size_t i = 1; i < heard.size(); ++i) CHECK(heard[i] - heard[i - 1] < 4s);
  CHECK(messages_of(whole.events) == lines(0, 5));
  CHECK(whole.events.back().data == R"({"endedBy":"UNTIL_REACHED"})");
}

TEST_CASE("a broker that says nothing at all gets no end of the log, and no silence") {
  Cut between(test_broker());
  AnApi api("mute", {}, between.address());
  const User ann = api.make_user("ann@example.org");
  const std::string app = api.make_app(ann, "shop");
  write_lines(app, 0, 1);
  between.mute(true);
  auto last = std::chrono::steady_clock::now();
  std::chrono::steady_clock::duration longest{};
  const auto started = last;
  const auto cut = read_stream(api, ann.bearer(), path_of(app, since_long + until_now()), {},
                               [&](const std::vector<Event>&) {
                                 const auto now = std::chrono::steady_clock::now();
                                 longest = std::max(longest, now - last);
                                 last = now;
                                 return now > started + 9s;
                               });
  CHECK(longest < 4s);
  for (const auto& event : cut.events) CHECK(event.name == "HEARTBEAT");
}

TEST_CASE("the stream of an application that is deleted ends") {
  AnApi api("gone");
  const User ann = api.make_user("ann@example.org");
  const std::string app = api.make_app(ann, "shop");
  bool deleted = false;
  const auto ended =
      read_stream(api, ann.bearer(), path_of(app, ""), {}, [&](const std::vector<Event>& events) {
        if (!deleted && !events.empty()) api.good(ann, "DELETE", "/v2/self/applications/" + app);
        deleted = deleted || !events.empty();
        return false;
      });
  CHECK(ended.events.back().data == R"({"endedBy":"APPLICATION_GONE"})");
}

TEST_CASE("one user does not take the logs of all") {
  AnApi api("slots", {{"KARREG_API_LOG_READERS_PER_USER", "2"}});
  const User ann = api.make_user("ann@example.org");
  const User bob = api.make_user("bob@example.org");
  const std::string app = api.make_app(ann, "shop");
  std::atomic<bool> enough{false};
  std::atomic<int> open{0};
  std::vector<std::jthread> readers;
  for (int i = 0; i < 2; ++i)
    readers.emplace_back([&] {
      http::ClientRequest request{
          "GET", api.url() + path_of(app, ""), {{"Authorization", ann.bearer()}}, {}};
      bool first = true;
      static_cast<void>(http::stream_blocking(std::move(request), [&](std::string_view) {
        if (std::exchange(first, false)) ++open;
        return !enough;
      }));
    });
  eventually("both streams are open", [&] { return open == 2; });
  const auto refused = api.call(ann, "GET", path_of(app, ""));
  CHECK(refused.status == 429);
  CHECK(message_of(refused) ==
        "you read 2 logs at this moment, and more are not allowed; close one of them");
  const std::string other = api.make_app(bob, "blog");
  CHECK(read_stream(api, bob.bearer(), path_of(other, since_long + until_now())).head.status ==
        200);
  enough = true;
  readers.clear();
  eventually("the places are free again", [&] {
    return read_stream(api, ann.bearer(), path_of(app, since_long + until_now())).head.status ==
           200;
  });
}
