#include "common/http/message.hpp"

#include <algorithm>

#include "common/ids.hpp"
#include "common/json.hpp"
#include "common/log.hpp"
#include "common/text.hpp"

namespace karreg::http {

namespace {
int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char l = text::lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}
}  // namespace

std::optional<std::string_view> Headers::get(std::string_view name) const {
  for (const auto& [key, value] : entries_)
    if (text::iequals(key, name)) return value;
  return std::nullopt;
}

void Headers::set(std::string_view name, std::string value) {
  std::erase_if(entries_, [&](const Entry& e) { return text::iequals(e.first, name); });
  entries_.emplace_back(std::string(name), std::move(value));
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      result += ' ';
    } else if (text[i] != '%') {
      result += text[i];
    } else {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
      result += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  if (!text::is_utf8(result)) return std::nullopt;
  return result;
}

std::string percent_encode(std::string_view text) {
  static constexpr std::string_view digits = "0123456789ABCDEF";
  std::string result;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved) {
      result += c;
    } else {
      result += '%';
      result += digits[byte >> 4U];
      result += digits[byte & 0x0fU];
    }
  }
  return result;
}

Query parse_query(std::string_view text) {
  Query query;
  while (!text.empty()) {
    const auto ampersand = text.find('&');
    const std::string_view pair = text.substr(0, ampersand);
    text = ampersand == std::string_view::npos ? std::string_view{} : text.substr(ampersand + 1);
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    const std::string_view name = pair.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1);
    query.emplace_back(percent_decode(name, true).value_or(std::string(name)),
                       percent_decode(value, true).value_or(std::string(value)));
  }
  return query;
}

Result<Url> parse_url(std::string_view text) {
  auto bad = [&](std::string_view why) {
    return Error(ErrorKind::invalid, "\"" + std::string(text) + "\" is not a usable URL: " +
                                         std::string(why) + "; expected http://host:port/path");
  };
  Url url;
  const auto scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return bad("it has no scheme");
  url.scheme = std::string(text.substr(0, scheme_end));
  if (url.scheme != "http" && url.scheme != "https") return bad("the scheme is not http or https");
  std::string_view rest = text.substr(scheme_end + 3);
  const auto path = rest.find_first_of("/?");
  std::string_view authority = rest.substr(0, path);
  if (path != std::string_view::npos) url.target = std::string(rest.substr(path));
  if (url.target.empty() || url.target.front() != '/') url.target.insert(0, "/");
  if (authority.find('@') != std::string_view::npos) return bad("credentials do not belong in it");
  const auto bracket = authority.rfind(']');
  const auto colon = authority.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  url.host = std::string(authority.substr(0, has_port ? colon : authority.size()));
  url.port = has_port ? std::string(authority.substr(colon + 1))
                      : std::string(url.scheme == "https" ? "443" : "80");
  if (url.host.size() > 2 && url.host.front() == '[')
    url.host = url.host.substr(1, url.host.size() - 2);
  if (url.host.empty()) return bad("it names no host");
  if (url.port.empty() || url.port.find_first_not_of("0123456789") != std::string::npos)
    return bad("the port is not a number");
  return url;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 103:
      return "Early Hints";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 203:
      return "Non-Authoritative Information";
    case 204:
      return "No Content";
    case 205:
      return "Reset Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 425:
      return "Too Early";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 451:
      return "Unavailable For Legal Reasons";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

Response json_response(int status, std::string body) {
  return {status,
          {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}},
          std::move(body)};
}

Response error_response(int status, std::string_view message) {
  nlohmann::json body = {{"id", status}, {"message", std::string(message)}, {"type", "error"}};
  return json_response(status, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::string public_message(const Error& error) {
  if (error.kind() != ErrorKind::internal) return error.message();
  const std::string number = ids::uuid().substr(0, 8);
  log::error("request failed", {log::field("number", number), log::field("why", error.message())});
  return "an internal error happened; the log of the server says more under the number " + number;
}

Response error_response(const Error& error) {
  return error_response(http_status(error.kind()), public_message(error));
}

}  // namespace karreg::http
