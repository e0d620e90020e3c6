#include "cli/api.hpp"

#include "common/http/client.hpp"

namespace karreg::cli {
namespace {

using namespace std::chrono_literals;

Error server_error(const http::Response& response) {
  const std::string type(response.headers.get("content-type").value_or(""));
  const std::string said = server_message(response.status, type, response.body);
  if (response.status == 401)
    return {ErrorKind::unauthorized,
            "You are not logged in, or the token is no longer good: run `karreg login`. (" + said +
                ")"};
  return {kind_of_status(response.status), said};
}

Error unreachable(const Error& error, const std::string& host) {
  return {error.kind(), "The platform at " + host + " cannot be reached: " + error.message() +
                            ". Check --api-host of `karreg login`, or run `karreg doctor`."};
}

}  // namespace

ErrorKind kind_of_status(int status) {
  switch (status) {
    case 401:
      return ErrorKind::unauthorized;
    case 403:
      return ErrorKind::forbidden;
    case 404:
      return ErrorKind::not_found;
    case 409:
      return ErrorKind::conflict;
    case 413:
      return ErrorKind::too_large;
    default:
      return status >= 500 ? ErrorKind::unavailable : ErrorKind::invalid;
  }
}

std::string server_message(int status, const std::string& content_type, const std::string& body) {
  std::string said;
  if (content_type.starts_with("application/json")) {
    const Json parsed = Json::parse(body, nullptr, false);
    if (parsed.is_string()) said = parsed.get<std::string>();
    for (const char* field : {"message", "error"})
      if (said.empty() && parsed.is_object() && parsed.contains(field) && parsed[field].is_string())
        said = parsed[field].get<std::string>();
  } else if (content_type.starts_with("text/plain")) {
    said = body.substr(0, 1000);
  }
  if (said.empty())
    said = "the platform answered " + std::to_string(status) + " " +
           std::string(http::reason_phrase(status));
  return said;
}

Result<void> Api::ready() const {
  if (profile_.api_host.empty())
    return Error(
        ErrorKind::unauthorized,
        "No platform is known: run `karreg login --api-host URL`, or set KARREG_API_HOST.");
  if (!profile_.logged_in())
    return Error(ErrorKind::unauthorized,
                 "You are not logged in: run `karreg login`, or set KARREG_TOKEN.");
  if (!profile_.secret.empty() && profile_.consumer_secret.empty())
    return Error(ErrorKind::unauthorized,
                 "A token with a secret also needs the consumer that it was issued for: give "
                 "--consumer-key and --consumer-secret to `karreg login` (KARREG_CONSUMER_KEY, "
                 "KARREG_CONSUMER_SECRET), or use an API token, which stands alone.");
  return ok();
}

Result<Json> Api::call(const std::string& method, const std::string& path,
                       const std::optional<Json>& body) const {
  if (auto good = ready(); !good) return good.error();
  http::ClientRequest request;
  request.method = method;
  request.url = profile_.api_host + path;
  request.headers = {{"Authorization", authorization(profile_)},
                     {"Accept", "application/json"},
                     {"User-Agent", "karreg-cli"}};
  if (body) {
    request.headers.add("Content-Type", "application/json");
    request.body = body->dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  auto response = http::fetch_blocking(std::move(request));
  if (!response) return unreachable(response.error(), profile_.api_host);
  if (response->status >= 400) return server_error(*response);
  if (response->status == 204 || response->body.empty()) return Json();
  Json parsed = Json::parse(response->body, nullptr, false);
  if (parsed.is_discarded())
    return Error(ErrorKind::unavailable,
                 "The answer of " + profile_.api_host + path +
                     " is not JSON. Is this the address of a Karreg platform's API?");
  return parsed;
}

Result<void> Api::events(const std::string& path, const std::string& last_id,
                         const std::function<bool(const SseEvent&)>& on_event) const {
  if (auto good = ready(); !good) return good.error();
  http::ClientRequest request;
  request.url = profile_.api_host + path;
  request.headers = {{"Authorization", authorization(profile_)},
                     {"Accept", "text/event-stream"},
                     {"User-Agent", "karreg-cli"}};
  if (!last_id.empty()) request.headers.add("Last-Event-ID", last_id);
  request.deadline = 10s;  // heartbeats come every 2 s
  SseParser parser;
  auto response = http::stream_blocking(
      std::move(request), [&](std::string_view piece) { return parser.feed(piece, on_event); });
  if (!response) return unreachable(response.error(), profile_.api_host);
  if (response->status >= 400) return server_error(*response);
  return ok();
}

}  // namespace karreg::cli
