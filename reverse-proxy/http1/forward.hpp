#pragma once
/// Heads as they are passed on: which fields go through, which belong to one connection only (RFC
/// 9110 §7.6.1), which ones we say ourselves. Pure: text in, text out.

#include <string>

#include "reverse-proxy/http1/body.hpp"
#include "reverse-proxy/http1/target.hpp"

namespace karreg::proxy::http1 {

/// What the proxy knows of a request besides its head.
struct ForwardedBy {
  std::string_view client_address = {};
  std::string_view scheme = "http";
  std::uint16_t port = 80;  ///< that the client connected to
  std::string_view request_id = {};
  std::string_view new_trace = {};  ///< id for the trace that begins here; empty: the client's
                                    ///< traceparent is valid and goes on
  std::string_view client_certificate = {};  ///< value of Client-Cert (RFC 9440); empty: none
  bool last = false;                         ///< of its connection to the instance
  bool trust_client = false;  ///< the client is a proxy of ours: its X-Forwarded-* are kept
};

/// Appends the head for the backend to @p out. The client's framing, hop-by-hop fields, those named
/// by Connection, and claims about where it came from and who sent it (RFC 9440 §2.4) are left out;
/// framing, Host, X-Forwarded-For, -Proto, -Host, -Port, Forwarded and X-Request-Id are ours. Of TE
/// goes on that the client takes trailers. @p upgrade: ask for the client's protocol.
void append_request(std::string& out, const RequestHead& head, const Target& target,
                    const Framing& framing, const ForwardedBy& by, bool upgrade);

/// The same for a backend that speaks HTTP/2: the fields alone, a line each, without those that its
/// pseudo fields and its framing stand for.
void append_request_fields(std::string& out, const RequestHead& head, const Target& target,
                           const Framing& framing, const ForwardedBy& by);

/// How an answer goes to the client.
struct AnswerForm {
  int client_minor_version = 1;
  bool keep_alive = true;
  bool upgrade = false;                 ///< 101: Connection and Upgrade go through
  bool head_request = false;            ///< Content-Length tells about a body that does not come
  std::string_view request_id = {};     ///< added unless the application says its own
  std::string_view sticky_cookie = {};  ///< value of a Set-Cookie to add; empty: none
  bool hsts = false;  ///< Strict-Transport-Security is added unless the application says its own
};

/// The framing towards the client for an answer that came as @p from: bodies without a known length
/// are chunked for HTTP/1.1 and end with the connection for HTTP/1.0.
Framing framing_to_client(const Framing& from, int client_minor_version);

/// Removes the fields about one connection and those that Connection names. What is known of them
/// (Head::known) stays.
void drop_connection_fields(Head& head);

/// Whether @p field of an application's answer is for the client, and not about one connection or
/// about the framing on it.
bool goes_to_client(const ResponseHead& head, const Field& field);

/// Calls @p each(name, value) with what the proxy adds to the application's own fields of a final
/// answer.
template <class Fn>
void for_each_added_field(const ResponseHead& head, const AnswerForm& form, Fn each) {
  if (!head.find("x-request-id")) each("X-Request-Id", form.request_id);
  // A year: what browsers take seriously (RFC 6797 §6.1.1).
  if (form.hsts && !head.find("strict-transport-security"))
    each("Strict-Transport-Security", "max-age=31536000");
  if (!form.sticky_cookie.empty()) each("Set-Cookie", form.sticky_cookie);
}

/// Appends the head for the client to @p out.
void append_response(std::string& out, const ResponseHead& head, const Framing& framing,
                     const AnswerForm& form);

/// Whether the client asks for a protocol that we tunnel: WebSocket, asked by GET over HTTP/1.1
/// without a body (RFC 6455 §4.1). Others are not passed on (an h2c upgrade would let requests by
/// unseen).
bool wants_websocket(const RequestHead& head, const Framing& framing);

/// The X-Request-Id that the client sent, if it is short and plain.
std::optional<std::string_view> acceptable_request_id(const RequestHead& head);

}  // namespace karreg::proxy::http1
