// The logs of an application, what it printed and what it was asked, as server-sent events, as
// clever-tools reads them.
#include <fmt/format.h>

#include <algorithm>

#include "api/clever/objects.hpp"
#include "api/clever/resources.hpp"
#include "api/core/parameters.hpp"
#include "api/logs/follower.hpp"
#include "api/stores/apps_store.hpp"
#include "common/async/offload.hpp"
#include "common/async/pending.hpp"
#include "common/broker/topology.hpp"
#include "common/clock.hpp"
#include "common/wire/access.hpp"
#include "common/wire/json.hpp"

namespace karreg::api::clever {

using namespace std::chrono_literals;
using nlohmann::json;

namespace {

/// Clients reconnect after four seconds of silence.
constexpr auto heartbeat_interval = 1500ms;
constexpr auto poll_time = 300ms;
/// How long after the end of a finite stream its last lines may still come in.
constexpr std::int64_t late_ms = 1000;
/// A reader that gets nothing for so long from a broker that answers has read all there is.
constexpr auto quiet_time = 10s;
/// So often the broker is asked where a stream ends before the client has to ask again.
constexpr int end_tries = 3;
/// So often it is looked whether the app is still there and its reader still a member; sooner when
/// its stream is not.
constexpr auto look_interval = 60s;
constexpr auto look_interval_without_stream = 3s;
/// Lines of different machines come a little out of order: how far behind the end of a finite
/// stream is read.
constexpr std::int64_t disorder_ms = 5000;
/// What "recent history" means when no beginning is given.
constexpr std::int64_t recent_ms = 15L * 60 * 1000;

/// One of an application's logs.
struct LogKind {
  const char* path;   ///< below /v4, with its parameters
  const char* event;  ///< of each line
  std::string (*stream)(const std::string& app_id);
  json (*data)(const FollowedLine& line);
  std::string (*instance)(const FollowedLine& line);
  bool knows_deployment;  ///< of each line
};

std::string printed_by(const FollowedLine& line) {
  return line.instance_id;
}
std::string answered_by(const FollowedLine& line) {
  const auto entry = wire::from_text<wire::AccessEntry>(line.message, "AccessEntry");
  return entry ? entry->instance_id : "";
}

json printed(const FollowedLine& line) {
  json data{{"id", line.place.text()},
            {"date", iso_time(line.time_ns / 1'000'000)},
            {"message", line.message},
            {"service", line.service},
            {"stream", line.stream},
            {"instanceId", line.instance_id},
            {"deploymentId", line.deployment_id}};
  if (!line.process.empty()) data["process"] = line.process;
  return data;
}

json asked(const FollowedLine& line) {
  const auto entry = wire::from_text<wire::AccessEntry>(line.message, "AccessEntry");
  json data{{"id", line.place.text()}, {"date", iso_time(line.time_ns / 1'000'000)}};
  // What the platform says of lines that were dropped; clients pass over what has no http.
  if (!entry) {
    data.update({{"http", nullptr}, {"message", line.message}});
    return data;
  }
  // A connection of a TCP service in the place of a request: clients know nothing else.
  const bool tcp = entry->port != 0;
  data.update({{"source", {{"ip", entry->client}, {"city", nullptr}, {"countryCode", nullptr}}},
               {"instanceId", entry->instance_id},
               {"requestId", entry->request_id},
               {"traceId", entry->trace_id},
               {"bytesIn", entry->bytes_in},
               {"bytesOut", entry->bytes_out},
               {"durationMs", entry->ms},
               {"error", entry->error},
               {"http",
                {{"request",
                  {{"method", tcp ? "TCP" : entry->method},
                   {"scheme", entry->scheme},
                   {"host", entry->host},
                   {"path", tcp ? fmt::format(":{}", entry->port) : entry->path},
                   {"protocol", entry->protocol},
                   {"userAgent", entry->user_agent}}},
                 {"response", {{"statusCode", entry->status}}}}}});
  return data;
}

constexpr LogKind printed_log{"/logs/organisations/{ownerId}/applications/{appId}/logs",
                              "APPLICATION_LOG",
                              broker::log_stream,
                              printed,
                              printed_by,
                              true};
constexpr LogKind access_log{"/accesslogs/organisations/{ownerId}/applications/{appId}/accesslogs",
                             "ACCESS_LOG",
                             broker::access_stream,
                             asked,
                             answered_by,
                             false};

std::string event_of(const LogKind& kind, const FollowedLine& line) {
  return "id: " + line.place.text() + "\nevent: " + kind.event +
         "\ndata: " + kind.data(line).dump(-1, ' ', false, json::error_handler_t::replace) + "\n\n";
}

struct Filter {
  std::optional<std::int64_t> since_ms;
  std::optional<std::int64_t> until_ms;
  std::string deployment;
  std::vector<std::string> instances;
  std::string text;
  std::size_t limit = 0;  ///< 0: none

  bool passes(const FollowedLine& line, const LogKind& kind) const {
    const std::int64_t ms = line.time_ns / 1'000'000;
    if (since_ms && ms < *since_ms) return false;
    if (until_ms && ms > *until_ms) return false;
    if (!deployment.empty() && line.deployment_id != deployment) return false;
    if (!instances.empty() && std::ranges::find(instances, kind.instance(line)) == instances.end())
      return false;
    return text.empty() || line.message.find(text) != std::string::npos;
  }
};

Result<Filter> filter_of(const LogKind& kind, const http::Request& request) {
  Filter filter;
  for (const auto& [name, value] : request.query) {
    if (name == "since" || name == "until") {
      const auto time = parse_iso_time(value);
      if (!time)
        return Error(ErrorKind::invalid, "the parameter " + name + " = \"" + value +
                                             "\" must be a time such as 2026-01-02T03:04:05.678Z");
      (name == "since" ? filter.since_ms : filter.until_ms) = time;
    } else if (name == "deploymentId") {
      if (!kind.knows_deployment)
        return Error(ErrorKind::invalid,
                     "an access log cannot be asked for by deploymentId; instanceId can");
      filter.deployment = value;
    } else if (name == "instanceId") {
      filter.instances.push_back(value);
    } else if (name == "filter") {
      filter.text = value;
    } else if (name == "limit") {
      auto limit = number_parameter(name, value, 0, 1'000'000'000);
      if (!limit) return limit.error();
      filter.limit = static_cast<std::size_t>(*limit);
    }
  }
  return filter;
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

/// Whether a finite stream has given all that it will. Nothing said within some time proves
/// nothing: the broker is asked for the stream's last message, and that one must have been read.
class FiniteEnd {
 public:
  enum class Verdict { more, reached, unknown };

  FiniteEnd(const Services& services, std::string stream, std::int64_t from_ms)
      : services_(services), stream_(std::move(stream)), from_ms_(from_ms) {}

  /// Of @p follower, which just gave @p lines, after the asked-for time is over.
  Verdict look(const asio::any_io_executor& executor, const LogFollower& follower, bool lines) {
    const auto now = std::chrono::steady_clock::now();
    if (lines || !end_) quiet_since_ = now;
    if (!end_) return ask(executor);
    // A stream whose last message is older than what was asked for gives no message at all.
    const bool older = end_->newest_ms > 0 && end_->newest_ms + disorder_ms < from_ms_;
    if (older || follower.has_read(end_->offset)) return Verdict::reached;
    return !follower.away() && now > quiet_since_ + quiet_time ? Verdict::reached : Verdict::more;
  }

 private:
  Verdict ask(const asio::any_io_executor& executor) {
    if (!asking_) {
      if (tries_++ == end_tries) return Verdict::unknown;
      auto question = [address = services_.settings.broker, stream = stream_] {
        return end_of_log(address, stream);
      };
      asking_ = Pending<Result<LogEnd>>(executor, services_.log_pool, std::move(question));
    }
    if (!asking_.ready()) return Verdict::more;
    auto answer = asking_.take();
    if (answer)
      end_ = *answer;
    else if (answer.error().kind() == ErrorKind::not_found)
      return Verdict::reached;  // the app never printed anything
    return Verdict::more;
  }

  const Services& services_;
  std::string stream_;
  std::int64_t from_ms_;
  Pending<Result<LogEnd>> asking_;
  int tries_ = 0;
  std::optional<LogEnd> end_;
  SteadyTime quiet_since_{};
};

/// Looks now and then whether the user may still read the app's log.
class StillThere {
 public:
  StillThere(const Services& services, Identity identity, std::string app_id)
      : services_(services), identity_(std::move(identity)), app_id_(std::move(app_id)) {}

  bool look(const asio::any_io_executor& executor, bool stream_missing) {
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::seconds interval =
        stream_missing ? look_interval_without_stream : look_interval;
    if (!asking_ && now >= asked_at_ + interval) {
      asked_at_ = now;
      auto question = [&database = services_.database, identity = identity_, app = app_id_] {
        return database.transact(
            [&](pqxx::work& work) -> Result<App> { return get_app(work, identity, app); });
      };
      asking_ = Pending<Result<App>>(executor, services_.pool, std::move(question));
    }
    if (!asking_.ready()) return true;
    auto app = asking_.take();
    return app || app.error().kind() != ErrorKind::not_found;
  }

 private:
  const Services& services_;
  Identity identity_;
  std::string app_id_;
  Pending<Result<App>> asking_;
  SteadyTime asked_at_ = std::chrono::steady_clock::now();
};

/// What of @p lines passes, as events; and why the stream ends there, if it does.
struct Passed {
  std::string events;
  std::string end;
};
Passed pass(const LogKind& kind, const Filter& filter, const std::vector<FollowedLine>& lines,
            std::size_t& sent) {
  Passed passed;
  for (const auto& line : lines) {
    if (filter.until_ms && line.time_ns / 1'000'000 > *filter.until_ms + disorder_ms)
      passed.end = "UNTIL_REACHED";
    if (!passed.end.empty()) break;
    if (!filter.passes(line, kind)) continue;
    passed.events += event_of(kind, line);
    if (filter.limit > 0 && ++sent >= filter.limit) passed.end = "LIMIT_REACHED";
  }
  return passed;
}

awaitable<void> follow(const LogKind& kind, LogFollower& follower, FiniteEnd& finite,
                       StillThere& there, const Filter& filter, http::ResponseWriter& writer) {
  const auto executor = co_await asio::this_coro::executor;
  std::size_t sent = 0;
  auto last_write = std::chrono::steady_clock::now() - heartbeat_interval;
  std::string end;
  while (end.empty()) {
    const auto lines = co_await follower.next(poll_time);
    Passed passed = pass(kind, filter, lines, sent);
    end = passed.end;
    std::string& out = passed.events;
    if (end.empty() && filter.until_ms && unix_ms() > *filter.until_ms + late_ms) {
      const auto verdict = finite.look(executor, follower, !lines.empty());
      // Cut without an end: the client asks again, and does not take a part for the whole.
      if (verdict == FiniteEnd::Verdict::unknown) co_return;
      if (verdict == FiniteEnd::Verdict::reached) end = "UNTIL_REACHED";
    }
    if (end.empty() && !there.look(executor, follower.missing())) end = "APPLICATION_GONE";
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

awaitable<void> stream(const LogKind& kind, const Services& services, http::Request& request,
                       http::ResponseWriter& writer, const std::string& app_id) {
  auto identity = co_await authenticate(services, request);
  if (!identity) {
    co_await writer.send(http::error_response(identity.error()));
    co_return;
  }
  auto filter = filter_of(kind, request);
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
  if (!services.log_slots.available_to(identity->user_id)) {
    co_await writer.send(http::error_response(
        429, "you read " + std::to_string(services.settings.log_readers_per_user) +
                 " logs at this moment, and more are not allowed; close one of them"));
    co_return;
  }
  const std::int64_t from_ms = filter->since_ms.value_or(began->value_or(unix_ms() - recent_ms));
  const auto resume =
      LogPlace::parse(std::string(request.headers.get("Last-Event-ID").value_or("")));
  LogFollower follower(services, kind.stream(app_id),
                       {broker::StreamStart::At::time, 0, from_ms / 1000 - 1}, resume,
                       identity->user_id);
  http::Headers headers{{"Content-Type", "text/event-stream"},
                        {"Cache-Control", "no-store"},
                        {"X-Accel-Buffering", "no"}};
  co_await writer.start(200, std::move(headers));
  FiniteEnd finite(services, kind.stream(app_id), from_ms);
  StillThere there(services, *identity, app_id);
  co_await follow(kind, follower, finite, there, *filter, writer);
}

}  // namespace

void add_logs(Routes& routes, const Services& services) {
  for (const auto* kind : {&printed_log, &access_log})
    routes.add_stream("GET", std::string("/v4") + kind->path,
                      [kind, &services](http::Request& request, http::ResponseWriter& writer,
                                        const http::PathParameters& path) {
                        return stream(*kind, services, request, writer, path.at("appId"));
                      });
}

}  // namespace karreg::api::clever
