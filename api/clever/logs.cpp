// The log stream of an application as server-sent events (docs/clever-api.md, "SSE").
#include <algorithm>
#include <charconv>

#include "api/clever/objects.hpp"
#include "api/clever/resources.hpp"
#include "api/logs/follower.hpp"
#include "api/stores/apps_store.hpp"
#include "common/async/offload.hpp"

namespace karreg::api::clever {

using namespace std::chrono_literals;
using nlohmann::json;

namespace {

/// Clients reconnect after four seconds of silence.
constexpr auto heartbeat_interval = 1500ms;
constexpr auto poll_time = 300ms;
/// A finite stream ends after so many polls without a line: the first message takes its time.
constexpr int quiet_polls = 4;
/// Lines of different machines come a little out of order: how far behind the end of a finite
/// stream is read.
constexpr std::int64_t disorder_ms = 5000;
/// What "recent history" means when no beginning is given.
constexpr std::int64_t recent_ms = 15 * 60 * 1000;

struct Filter {
  std::optional<std::int64_t> since_ms;
  std::optional<std::int64_t> until_ms;
  std::string deployment;
  std::vector<std::string> instances;
  std::string text;
  std::size_t limit = 0;  ///< 0: none

  bool passes(const FollowedLine& line) const {
    const std::int64_t ms = line.time_ns / 1'000'000;
    if (since_ms && ms < *since_ms) return false;
    if (until_ms && ms > *until_ms) return false;
    if (!deployment.empty() && line.deployment_id != deployment) return false;
    if (!instances.empty() && std::ranges::find(instances, line.instance_id) == instances.end())
      return false;
    return text.empty() || line.message.find(text) != std::string::npos;
  }
};

Result<Filter> filter_of(const http::Request& request) {
  Filter filter;
  for (const auto& [name, value] : request.query) {
    if (name == "since" || name == "until") {
      const auto time = parse_iso_time(value);
      if (!time)
        return Error(ErrorKind::invalid, "the parameter " + name + " = \"" + value +
                                             "\" must be a time such as 2026-01-02T03:04:05.678Z");
      (name == "since" ? filter.since_ms : filter.until_ms) = time;
    } else if (name == "deploymentId") {
      filter.deployment = value;
    } else if (name == "instanceId") {
      filter.instances.push_back(value);
    } else if (name == "filter") {
      filter.text = value;
    } else if (name == "limit") {
      const auto parsed = std::from_chars(value.data(), value.data() + value.size(), filter.limit);
      if (parsed.ec != std::errc{} || parsed.ptr != value.data() + value.size())
        return Error(ErrorKind::invalid,
                     "the parameter limit must be a number, not \"" + value + "\"");
    }
  }
  return filter;
}

std::string event_of(const FollowedLine& line) {
  json data = {{"id", line.place.text()},
               {"date", iso_time(line.time_ns / 1'000'000)},
               {"message", line.message},
               {"service", line.service},
               {"stream", line.stream},
               {"instanceId", line.instance_id},
               {"deploymentId", line.deployment_id}};
  return "id: " + line.place.text() + "\nevent: APPLICATION_LOG\ndata: " +
         data.dump(-1, ' ', false, json::error_handler_t::replace) + "\n\n";
}

/// What a stream needs to know of the app: that the user may see it, and when the deployment began.
Result<std::optional<std::int64_t>> beginning(const Services& services, const Identity& identity,
                                              const std::string& app_id,
                                              const std::string& deployment) {
  return services.database.transact([&](pqxx::work& work) -> Result<std::optional<std::int64_t>> {
    auto app = get_app(work, identity, app_id);
    if (!app) return app.error();
    if (deployment.empty()) return std::optional<std::int64_t>{};
    auto found = get_deployment(work, app->id, deployment);
    if (!found) return found.error();
    return std::optional<std::int64_t>(found->requested_ms);
  });
}

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

awaitable<void> follow(LogFollower& follower, const Filter& filter, http::ResponseWriter& writer) {
  std::size_t sent = 0;
  auto last_write = std::chrono::steady_clock::now() - heartbeat_interval;
  int quiet = 0;
  std::string end;
  while (end.empty()) {
    auto lines = co_await follower.next(poll_time);
    quiet = lines.empty() && !follower.away() ? quiet + 1 : 0;
    std::string out;
    for (const auto& line : lines) {
      if (filter.until_ms && line.time_ns / 1'000'000 > *filter.until_ms + disorder_ms)
        end = "UNTIL_REACHED";
      if (!end.empty()) break;
      if (!filter.passes(line)) continue;
      out += event_of(line);
      if (filter.limit > 0 && ++sent >= filter.limit) end = "LIMIT_REACHED";
    }
    // Nothing more in the stream although the asked-for time is over.
    if (quiet >= quiet_polls && filter.until_ms && now_ms() > *filter.until_ms + 1000)
      end = "UNTIL_REACHED";
    const auto now = std::chrono::steady_clock::now();
    if (out.empty() && now - last_write >= heartbeat_interval)
      out = "event: HEARTBEAT\ndata: {}\n\n";
    if (!end.empty()) out += "event: END_OF_STREAM\ndata: {\"endedBy\":\"" + end + "\"}\n\n";
    if (out.empty()) continue;
    last_write = now;
    auto written = co_await writer.write(out);
    if (!written) co_return;
  }
  co_await writer.finish();
}

awaitable<void> stream(const Services& services, http::Request& request,
                       http::ResponseWriter& writer, const std::string& app_id) {
  auto identity = co_await authenticate(services, request);
  if (!identity) {
    co_await writer.send(http::error_response(identity.error()));
    co_return;
  }
  auto filter = filter_of(request);
  if (!filter) {
    co_await writer.send(http::error_response(filter.error()));
    co_return;
  }
  auto look = [&] { return beginning(services, *identity, app_id, filter->deployment); };
  auto began = co_await offload(services.pool, look);
  if (!began) {
    co_await writer.send(http::error_response(began.error()));
    co_return;
  }
  if (!services.log_slots.available()) {
    co_await writer.send(http::error_response(
        503, "too many logs are being read at this moment; try again in a little while"));
    co_return;
  }
  const std::int64_t from_ms = filter->since_ms.value_or(began->value_or(now_ms() - recent_ms));
  const auto resume =
      LogPlace::parse(std::string(request.headers.get("Last-Event-ID").value_or("")));
  LogFollower follower(services, app_id, {broker::StreamStart::At::time, 0, from_ms / 1000 - 1},
                       resume);
  http::Headers headers{{"Content-Type", "text/event-stream"},
                        {"Cache-Control", "no-store"},
                        {"X-Accel-Buffering", "no"}};
  co_await writer.start(200, std::move(headers));
  co_await follow(follower, *filter, writer);
}

}  // namespace

void add_logs(Routes& routes, const Services& services) {
  routes.add_stream("GET", "/v4/logs/organisations/{ownerId}/applications/{appId}/logs",
                    [&services](http::Request& request, http::ResponseWriter& writer,
                                const http::PathParameters& path) -> awaitable<void> {
                      co_await stream(services, request, writer, path.at("appId"));
                    });
}

}  // namespace karreg::api::clever
