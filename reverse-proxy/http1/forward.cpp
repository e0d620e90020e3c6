#include "reverse-proxy/http1/forward.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "common/text.hpp"
#include "reverse-proxy/http1/trace_context.hpp"

namespace karreg::proxy::http1 {

namespace {

void append_number(std::string& out, std::uint64_t value) {
  std::array<char, 20> digits{};
  auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  out.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  out += value;
  out += "\r\n";
}

void append_framing(std::string& out, const Framing& framing) {
  if (framing.kind == BodyKind::chunked) out += "Transfer-Encoding: chunked\r\n";
  if (framing.kind == BodyKind::length) {
    out += "Content-Length: ";
    append_number(out, framing.length);
    out += "\r\n";
  }
}

bool one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::ranges::any_of(names, [&](std::string_view n) { return text::iequals(n, name); });
}

/// Fields about one connection, whoever sends them.
bool is_hop_by_hop(std::string_view name) {
  static constexpr std::array<std::string_view, 9> names = {
      "connection",          "keep-alive",         "proxy-connection", "te", "trailer", "upgrade",
      "proxy-authorization", "proxy-authenticate", "http2-settings"};
  return one_of(name, names);
}

bool is_framing(std::string_view name) {
  return text::iequals(name, "content-length") || text::iequals(name, "transfer-encoding");
}

/// Fields by which an application learns where a request came from: only ours are true. Servers
/// that hand fields on as variables (CGI, WSGI) take X_Forwarded_For for X-Forwarded-For.
bool is_origin_claim(std::string_view name) {
  static constexpr std::array<std::string_view, 10> names = {
      "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port",
      "forwarded",       "x-real-ip",         "x-forwarded-ssl",  "x-forwarded-scheme",
      "client-cert",     "client-cert-chain"};
  return std::ranges::any_of(names, [&](std::string_view n) {
    return n.size() == name.size() &&
           std::equal(n.begin(), n.end(), name.begin(), [](char a, char b) {
             const char l = b >= 'A' && b <= 'Z' ? static_cast<char>(b + 32) : b;
             return a == (l == '_' ? '-' : l);
           });
  });
}

/// Whether a Connection field of @p head names @p name.
bool named_by_connection(const Head& head, std::string_view name) {
  if (!head.known.connection_names) return false;
  for (const auto& field : head.fields) {
    if (!text::iequals(field.name, "connection")) continue;
    bool named = false;
    for_each_member(field.value,
                    [&](std::string_view option) { named |= text::iequals(option, name); });
    if (named) return true;
  }
  return false;
}

/// The same in the form of RFC 7239, one element for this proxy.
void append_standard_forwarded(std::string& out, const RequestHead& head, const Target& target,
                               const ForwardedBy& by) {
  out += "Forwarded: ";
  if (by.trust_client) {
    for (const auto& field : head.fields) {
      if (!text::iequals(field.name, "forwarded")) continue;
      out += field.value;
      out += ", ";
    }
  }
  const bool v6 = by.client_address.find(':') != std::string_view::npos;
  out += v6 ? "for=\"[" : "for=";
  out += by.client_address;
  out += v6 ? "]\";proto=" : ";proto=";
  out += by.scheme;
  out += ";host=\"";
  out += target.authority;
  out += "\"\r\n";
}

void append_forwarded(std::string& out, const RequestHead& head, const Target& target,
                      const ForwardedBy& by) {
  auto claimed = [&](std::string_view name, std::string_view ours) {
    const auto theirs = by.trust_client ? head.find(name) : std::nullopt;
    return theirs.value_or(ours);
  };
  out += "X-Forwarded-For: ";
  if (by.trust_client) {
    for (const auto& field : head.fields) {
      if (!text::iequals(field.name, "x-forwarded-for")) continue;
      out += field.value;
      out += ", ";
    }
  }
  out += by.client_address;
  out += "\r\n";
  append_field(out, "X-Forwarded-Proto", claimed("x-forwarded-proto", by.scheme));
  append_field(out, "X-Forwarded-Host", claimed("x-forwarded-host", target.authority));
  std::array<char, 8> port{};
  auto [end, error] = std::to_chars(port.data(), port.data() + port.size(), by.port);
  append_field(
      out, "X-Forwarded-Port",
      claimed("x-forwarded-port", {port.data(), static_cast<std::size_t>(end - port.data())}));
  append_standard_forwarded(out, head, target, by);
}

}  // namespace

namespace {
/// What the client says to the application, by whichever protocol it goes on.
void append_passed_on(std::string& out, const RequestHead& head, const Framing& framing,
                      const ForwardedBy& by) {
  for (const auto& field : head.fields) {
    if (text::iequals(field.name, "host") || is_framing(field.name) || is_hop_by_hop(field.name) ||
        is_origin_claim(field.name) || text::iequals(field.name, "x-request-id"))
      continue;
    if (!by.new_trace.empty() && is_trace_field(field.name)) continue;
    // Waiting for 100 Continue makes no sense for a body that is not there.
    if (framing.kind == BodyKind::none && text::iequals(field.name, "expect")) continue;
    if (named_by_connection(head, field.name)) continue;
    append_field(out, field.name, field.value);
  }
}

/// What the proxy says of the request.
void append_own(std::string& out, const RequestHead& head, const Target& target,
                const ForwardedBy& by) {
  append_forwarded(out, head, target, by);
  append_field(out, "X-Request-Id", by.request_id);
  if (!by.client_certificate.empty()) append_field(out, "Client-Cert", by.client_certificate);
  if (!by.new_trace.empty()) append_traceparent(out, by.new_trace);
}
}  // namespace

void append_request(std::string& out, const RequestHead& head, const Target& target,
                    const Framing& framing, const ForwardedBy& by, bool upgrade) {
  out += head.method;
  out += ' ';
  out += target.forward;
  out += " HTTP/1.1\r\n";
  append_field(out, "Host", target.authority);
  append_passed_on(out, head, framing, by);
  append_framing(out, framing);
  if (upgrade) {
    out += "Connection: Upgrade\r\n";
    append_field(out, "Upgrade", head.known.upgrade);
  } else if (head.known.te_trailers && head.minor_version >= 1) {
    // Of this connection (RFC 9110 §10.1.4); what comes is passed on.
    out += by.last ? "TE: trailers\r\nConnection: TE, close\r\n"
                   : "TE: trailers\r\nConnection: TE\r\n";
  } else if (by.last) {
    out += "Connection: close\r\n";
  }
  append_own(out, head, target, by);
  out += "\r\n";
}

void append_request_fields(std::string& out, const RequestHead& head, const Target& target,
                           const Framing& framing, const ForwardedBy& by) {
  append_passed_on(out, head, framing, by);
  if (framing.kind == BodyKind::length) append_framing(out, framing);
  if (head.known.te_trailers && head.minor_version >= 1) out += "TE: trailers\r\n";
  append_own(out, head, target, by);
}

void drop_connection_fields(Head& head) {
  if (head.known.connection_names)
    std::erase_if(head.fields, [named = head](const Field& field) {
      return named_by_connection(named, field.name);
    });
  std::erase_if(head.fields, [](const Field& field) { return is_hop_by_hop(field.name); });
}

bool goes_to_client(const ResponseHead& head, const Field& field) {
  return !is_framing(field.name) && !is_hop_by_hop(field.name) &&
         !named_by_connection(head, field.name);
}

Framing framing_to_client(const Framing& from, int client_minor_version) {
  if (from.kind == BodyKind::none || from.kind == BodyKind::length) return from;
  return {client_minor_version >= 1 ? BodyKind::chunked : BodyKind::until_close, 0};
}

void append_response(std::string& out, const ResponseHead& head, const Framing& framing,
                     const AnswerForm& form) {
  out += "HTTP/1.1 ";
  append_number(out, static_cast<std::uint64_t>(head.status));
  out += ' ';
  out += head.reason;
  out += "\r\n";
  for (const auto& field : head.fields) {
    if (is_framing(field.name) || is_hop_by_hop(field.name)) continue;
    if (named_by_connection(head, field.name)) continue;
    append_field(out, field.name, field.value);
  }
  const bool informational = head.status < 200;
  append_framing(out, framing);
  const bool bodiless_length = form.head_request || head.status == 304;
  if (bodiless_length && head.known.content_lengths == 1)
    append_field(out, "Content-Length", head.known.content_length);
  if (form.upgrade) {
    out += "Connection: Upgrade\r\n";
    append_field(out, "Upgrade", head.known.upgrade);
  } else if (!informational) {
    if (!form.keep_alive) out += "Connection: close\r\n";
    if (form.keep_alive && form.client_minor_version == 0) out += "Connection: keep-alive\r\n";
  }
  if (!informational || form.upgrade)
    for_each_added_field(head, form, [&](std::string_view name, std::string_view value) {
      append_field(out, name, value);
    });
  out += "\r\n";
}

bool wants_websocket(const RequestHead& head, const Framing& framing) {
  return head.minor_version >= 1 && head.method == "GET" && framing.kind == BodyKind::none &&
         head.known.connection_upgrade && text::iequals(head.known.upgrade, "websocket");
}

std::optional<std::string_view> acceptable_request_id(const RequestHead& head) {
  const auto id = head.find("x-request-id");
  if (!id || id->empty() || id->size() > 128) return std::nullopt;
  const bool plain = std::ranges::all_of(*id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
  if (!plain) return std::nullopt;
  return id;
}

}  // namespace karreg::proxy::http1
