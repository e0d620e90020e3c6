#include "reverse-proxy/answers.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/http/message.hpp"
#include "common/text.hpp"

namespace karreg::proxy {

namespace {
/// The form that @p answer has for who likes @p format: whoever takes any text gets the owner's
/// page.
AnswerFormat form_of(const Answer& answer, AnswerFormat format) {
  return !answer.page.empty() && format == AnswerFormat::text ? AnswerFormat::html : format;
}

std::string body_of(const Answer& answer, AnswerFormat format, std::string_view request_id) {
  switch (format) {
    case AnswerFormat::json: {
      std::string body = fmt::format("{{\"id\":{},\"message\":", answer.status);
      append_json_string(body, answer.message);
      body += ",\"type\":\"error\",\"request_id\":";
      append_json_string(body, request_id);
      body += "}\n";
      return body;
    }
    case AnswerFormat::html:
      if (!answer.page.empty()) return std::string(answer.page);
      return fmt::format(
          "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{0} {1}</title>\n"
          "<body><h1>{1}</h1>\n<p>{2}</p>\n<p><small>{0}, request {3}</small></p></body></html>\n",
          answer.status, escape_html(answer.title), escape_html(answer.message),
          escape_html(request_id));
    case AnswerFormat::text:
      break;
  }
  return fmt::format("{} {}\n\n{}\n\nrequest {}\n", answer.status, answer.title, answer.message,
                     request_id);
}

std::string_view type_of(AnswerFormat format) {
  switch (format) {
    case AnswerFormat::json:
      return "application/json";
    case AnswerFormat::html:
      return "text/html; charset=utf-8";
    case AnswerFormat::text:
      break;
  }
  return "text/plain; charset=utf-8";
}

}  // namespace

Answer refused(const http1::Refusal& refusal) {
  return {refusal.status,
          "The request was not understood",
          fmt::format("{}. The request was not passed on.", refusal.why),
          0,
          {}};
}

Answer unknown_host(std::string_view host) {
  return {404,
          "No application here",
          fmt::format("No application answers for \"{0}\" on this platform. If it is yours: check "
                      "the spelling, list the application's names with `karreg domain`, and add "
                      "this one with `karreg domain add {0}`.",
                      host),
          0,
          {}};
}

Answer no_routes_yet() {
  return {503,
          "Starting",
          "This proxy has just started and knows no application yet. Try again in "
          "a few seconds.",
          2,
          {}};
}

Answer nothing_serves(std::string_view host) {
  return {503,
          "No instance is running",
          fmt::format("The application at \"{}\" has no running instance now: it is stopped, or "
                      "its first deployment is not done. Its owner sees why with `karreg activity` "
                      "and starts it with `karreg restart`.",
                      host),
          5,
          {}};
}

Answer does_not_wake(std::string_view host, long seconds) {
  return {503,
          "The application is still waking up",
          fmt::format("The application at \"{}\" was asleep and had no running instance after {} "
                      "s. Try again in a moment; its owner sees what happens with `karreg "
                      "status` and `karreg logs`.",
                      host, seconds),
          10,
          {}};
}

Answer too_many_wait(std::string_view host) {
  return {503,
          "The application is waking up",
          fmt::format("The application at \"{}\" was asleep, and as many requests as may be wait "
                      "for it already. Try again in a moment.",
                      host),
          5,
          {}};
}

Answer backend_gone(std::string_view host) {
  return {
      502,
      "The application does not answer",
      fmt::format("The instances of \"{}\" refused the connection or broke it off. The platform "
                  "replaces broken instances; its owner sees what happened with `karreg logs`.",
                  host),
      1,
      {}};
}

Answer backend_nonsense(std::string_view host, std::string_view why) {
  return {502,
          "The application's answer is not HTTP",
          fmt::format("The application at \"{}\" gave an answer that cannot be passed on: {}.",
                      host, why),
          0,
          {}};
}

Answer backend_late(std::string_view host, long seconds) {
  return {504,
          "The application is too slow",
          fmt::format("The application at \"{}\" gave no answer within {} seconds. Its owner may "
                      "look for slow requests with `karreg logs`.",
                      host, seconds),
          0,
          {}};
}

Answer backend_full(std::string_view host) {
  return {503,
          "The application is too busy",
          fmt::format("The instances of \"{}\" take no more requests at once. Its owner may have "
                      "them allow more concurrent streams of HTTP/2, or give it more instances.",
                      host),
          1,
          {}};
}

Answer backend_unfit(std::string_view host, std::string_view why) {
  return {
      502,
      "The application is not spoken to as it expects",
      fmt::format("The instances of \"{}\" could not be spoken to as the application's rules "
                  "say: {}. Its owner sees them with `karreg rules show`, and changes them with "
                  "`karreg rules edit instance.protocol=...`.",
                  host, why),
      0,
      {}};
}

Answer no_websocket(std::string_view host) {
  return {501,
          "No WebSocket here",
          fmt::format("The instances of \"{}\" are spoken to by HTTP/2, and do not take a "
                      "WebSocket that way (RFC 8441). Its owner can have them spoken to by "
                      "HTTP/1.1 with `karreg rules edit instance.protocol=http1`.",
                      host),
          0,
          {}};
}

Answer client_late() {
  return {
      408, "The request came too slowly", "The rest of the request did not come in time.", 0, {}};
}

Answer too_many_connections() {
  return {503,
          "Too many connections",
          "This proxy holds as many connections as it may. Try again in a few seconds.",
          2,
          {}};
}

Answer app_busy(std::string_view host) {
  return {
      503,
      "The application is too busy",
      fmt::format("The application at \"{}\" has too many requests in hand: they are as many as "
                  "this proxy may hold for one application. Its owner may look for requests that "
                  "do not end with `karreg logs`, or give it more instances.",
                  host),
      5,
      {}};
}

Answer speaks_https() {
  return {400,
          "This port speaks https",
          "The request came as plain http. Put https:// before the address.",
          0,
          {}};
}

Answer use_https(std::string location, bool safe_method) {
  std::string message = "This application is served over https only: " + location;
  return {safe_method ? 301 : 308, "Use https", std::move(message), 0, std::move(location)};
}

Answer proof_of_name(std::string key_authorization) {
  return {.status = 200, .title = "OK", .message = {}, .verbatim = std::move(key_authorization)};
}

AnswerFormat format_for(std::string_view accept) {
  auto has = [&](std::string_view type) { return accept.find(type) != std::string_view::npos; };
  if (has("text/html")) return AnswerFormat::html;
  if (has("application/json") || has("+json")) return AnswerFormat::json;
  return AnswerFormat::text;
}

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

void append_json_string(std::string& out, std::string_view rest) {
  out += '"';
  while (!rest.empty()) {
    const char c = rest.front();
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
      rest.remove_prefix(1);
    } else if (u < 0x20 || u == 0x7f) {
      out += fmt::format("\\u{:04x}", u);
      rest.remove_prefix(1);
    } else if (const auto n = text::utf8_length(rest); n > 0) {
      out += rest.substr(0, n);
      rest.remove_prefix(n);
    } else {
      out += "\\ufffd";
      rest.remove_prefix(1);
    }
  }
  out += '"';
}

AnswerParts parts_of(const Answer& answer, AnswerFormat format, std::string_view request_id) {
  format = form_of(answer, format);
  AnswerParts parts;
  const bool as_it_is = !answer.verbatim.empty();
  parts.body = as_it_is ? answer.verbatim : body_of(answer, format, request_id);
  parts.fields = {
      {"Content-Type", as_it_is ? "application/octet-stream" : std::string(type_of(format))},
      {"Content-Length", std::to_string(parts.body.size())},
      {"Cache-Control", "no-store"}};
  if (answer.retry_after_s > 0)
    parts.fields.emplace_back("Retry-After", std::to_string(answer.retry_after_s));
  if (!answer.location.empty()) parts.fields.emplace_back("Location", answer.location);
  if (!request_id.empty()) parts.fields.emplace_back("X-Request-Id", std::string(request_id));
  for (const auto& field : answer.fields) {
    const bool said = std::ranges::any_of(
        parts.fields, [&](const auto& ours) { return text::iequals(ours.first, field.name); });
    if (!said) parts.fields.emplace_back(field.name, std::string(field.value));
  }
  return parts;
}

std::string render(const Answer& answer, const AnswerDelivery& delivery) {
  const auto parts = parts_of(answer, delivery.format, delivery.request_id);
  std::string out =
      fmt::format("HTTP/1.1 {} {}\r\n", answer.status, http::reason_phrase(answer.status));
  for (const auto& [name, value] : parts.fields) out += fmt::format("{}: {}\r\n", name, value);
  if (!delivery.keep_alive)
    out += "Connection: close\r\n";
  else if (delivery.client_minor_version == 0)
    out += "Connection: keep-alive\r\n";
  out += "\r\n";
  if (!delivery.head_request) out += parts.body;
  return out;
}

}  // namespace karreg::proxy
