#include "cli/follow.hpp"

#include <chrono>
#include <thread>

#include "cli/child.hpp"
#include "cli/log_stream.hpp"
#include "cli/retry.hpp"
#include "cli/times.hpp"
#include "common/http/message.hpp"

namespace karreg::cli {
namespace {

using namespace std::chrono_literals;

std::string with_query(const std::string& path, const http::Query& query) {
  std::string url = path;
  for (const auto& [name, value] : query)
    url += (url == path ? "?" : "&") + name + "=" + http::percent_encode(value);
  return url;
}

Result<Deployment> deployment(Session& session, const Target& target, const std::string& uuid) {
  auto api = session.api();
  if (!api) return api.error();
  auto answer = (*api)->get(target.path() + "/deployments/" + uuid);
  if (!answer) return answer.error();
  return parse_deployment(*answer);
}

/// Whether there was a request to show.
bool show_request(Session& session, const SseEvent& event) {
  if (session.json()) {
    const auto data = Json::parse(event.data, nullptr, false);
    if (data.is_object()) session.print_json(data);
    return data.is_object();
  }
  const auto line = parse_access_line(event.data);
  if (line) session.terminal().print(rendered(*line, session.terminal()));
  return line.has_value();
}

/// Whether there was a line to show.
bool show(Session& session, const SseEvent& event) {
  if (event.name == "ACCESS_LOG") return show_request(session, event);
  if (event.name != "APPLICATION_LOG") return false;
  const auto line = parse_log_line(event.data);
  if (!line) return false;
  if (session.json()) {
    Json output{{"date", line->date},
                {"service", line->service},
                {"message", line->message},
                {"instance_id", line->instance_id},
                {"deployment_id", line->deployment_id}};
    if (!line->process.empty()) output["process"] = line->process;
    session.print_json(output);
  } else {
    session.terminal().print(rendered(*line, session.terminal()));
  }
  return true;
}

}  // namespace

std::string log_path(const Target& target, const LogQuery& query) {
  http::Query parameters;
  if (query.since_ms) parameters.emplace_back("since", iso_time(*query.since_ms));
  if (query.until_ms) parameters.emplace_back("until", iso_time(*query.until_ms));
  if (!query.deployment_id.empty()) parameters.emplace_back("deploymentId", query.deployment_id);
  if (!query.instance_id.empty()) parameters.emplace_back("instanceId", query.instance_id);
  if (!query.search.empty()) parameters.emplace_back("filter", query.search);
  const std::string log = query.access ? "accesslogs" : "logs";
  return with_query(
      "/v4/" + log + "/organisations/" + target.owner + "/applications/" + target.id + "/" + log,
      parameters);
}

Result<AccessLine> parse_access_line(const std::string& data) {
  const auto parsed = Json::parse(data, nullptr, false);
  AccessLine line;
  try {
    line.date = parsed.at("date").get<std::string>();
    const auto& request = parsed.at("http").at("request");
    line.ip = parsed.at("source").at("ip").get<std::string>();
    line.method = request.at("method").get<std::string>();
    line.path = request.at("path").get<std::string>();
    line.host = request.value("host", "");
    line.status = parsed.at("http").at("response").at("statusCode").get<std::int64_t>();
    line.bytes_out = parsed.at("bytesOut").get<std::int64_t>();
    line.ms = parsed.value("durationMs", 0.0);
    line.error = parsed.value("error", "");
  } catch (const Json::exception&) {
    return Error(ErrorKind::unavailable, "The platform sent an access line that is none.");
  }
  return line;
}

std::string rendered(const AccessLine& line, const Terminal& terminal) {
  const std::string time = readable_time(line.date);
  // A connection of a TCP service has no status, only an error or none.
  const bool tcp = line.status == 0 && line.method == "TCP";
  const bool bad = tcp ? !line.error.empty() : line.status >= 500 || line.status == 0;
  const auto style = bad ? Style::red : line.status >= 400 ? Style::yellow : Style::green;
  auto text = terminal.styled(time, Style::dim) + " " + harmless(line.ip) + " " +
              terminal.styled(tcp ? "---" : std::to_string(line.status), style) + " " +
              harmless(line.method) + " " + harmless(line.host + line.path) +
              fmt::format(" {:.1f} ms {} B", line.ms, line.bytes_out);
  if (!line.error.empty()) text += " (" + harmless(line.error) + ")";
  return text;
}

Result<LogLine> parse_log_line(const std::string& data) {
  const Json parsed = Json::parse(data, nullptr, false);
  LogLine line;
  for (const auto& [key, member] :
       {std::pair{"date", &LogLine::date}, std::pair{"service", &LogLine::service},
        std::pair{"message", &LogLine::message}, std::pair{"instanceId", &LogLine::instance_id},
        std::pair{"deploymentId", &LogLine::deployment_id},
        std::pair{"process", &LogLine::process}}) {
    if (!parsed.is_object())
      return Error(ErrorKind::unavailable, "The platform sent a log line that is no JSON object.");
    const auto found = parsed.find(key);
    if (found != parsed.end() && found->is_string()) line.*member = found->get<std::string>();
  }
  return line;
}

std::string rendered(const LogLine& line, const Terminal& terminal) {
  const std::string time = readable_time(line.date);
  std::string text = terminal.styled(time, Style::dim) + " ";
  const std::string& source =
      line.process.empty() && line.service != "app" ? line.service : line.process;
  if (!source.empty()) text += terminal.styled("[" + harmless(source) + "]", Style::blue) + " ";
  return text + harmless(line.message);
}

Result<std::size_t> show_logs(Session& session, const Target& target, const LogQuery& query) {
  std::size_t lines = 0;
  auto read = LogStream(session, log_path(target, query)).read([&](const SseEvent& event) {
    if (show(session, event)) ++lines;
    return true;
  });
  if (!read) return read.error();
  return lines;
}

Result<int> conclude(Session& session, const Target& target, const Deployment& ended) {
  Terminal& terminal = session.terminal();
  const int code = ended.state == "OK" ? 0 : deployment_failed_exit;
  if (session.print_json(to_output(ended))) return code;
  if (code != 0) {
    terminal.fail("Deployment " + std::to_string(ended.number) + " of " + target.name + " " +
                  deployment_state(ended) + (ended.message.empty() ? "" : ": " + ended.message) +
                  (ended.message.ends_with('.') ? "" : ".") +
                  "\nThe version before it, if there is one, still serves. See `karreg logs "
                  "--deployment-id " +
                  ended.uuid + "`.");
    return code;
  }
  std::string where;
  if (auto app = session.app(target); app && !address(*app).empty()) where = " at " + address(*app);
  terminal.note(terminal.styled_note("Deployed: ", Style::green) + target.name + where + ".");
  return code;
}

Result<int> follow_deployment(Session& session, const Target& target, const std::string& uuid) {
  detach_on_interrupt(detach_note);
  std::optional<Deployment> ended;
  auto last_look = std::chrono::steady_clock::now() - 1min;
  LogQuery query;
  query.deployment_id = uuid;
  // Heartbeats come at least every 2 s: each event is a moment to look at the deployment itself.
  bool after_end = false;
  auto read = LogStream(session, log_path(target, query)).read([&](const SseEvent& event) {
    if (!session.json()) show(session, event);
    if (after_end) return event.name != "HEARTBEAT";  // the last lines came before it
    const auto now = std::chrono::steady_clock::now();
    if (now - last_look < 1s) return true;
    last_look = now;
    auto seen = deployment(session, target, uuid);
    if (!seen) return worth_a_retry(seen.error());
    if (seen->state == "WIP") return true;
    ended = *seen;
    after_end = true;
    return true;
  });
  // Without a log the deployment itself is still worth waiting for.
  while (!ended) {
    if (!read && !worth_a_retry(read.error())) return read.error();
    auto seen = patiently([&] { return deployment(session, target, uuid); });
    if (!seen) return seen.error();
    if (seen->state != "WIP") ended = *seen;
    if (!ended) std::this_thread::sleep_for(1s);
  }
  return conclude(session, target, *ended);
}

}  // namespace karreg::cli
