#pragma once
/// What must hold of a request that the proxy passes on, however it was read.

#include <string>

#include "fuzz/must.hpp"
#include "reverse-proxy/http1/forward.hpp"

namespace karreg::proxy::fuzz {

using karreg::fuzz::must;

/// The application reads @p head as the proxy has read it: one request, for the same host and path,
/// with a body of the same framing, and no field that nobody sent.
inline void check_forwarded(const http1::RequestHead& head) {
  http1::Target target;
  if (http1::read_target(head, target)) return;
  const auto framed = http1::request_framing(head);
  const auto* framing = std::get_if<http1::Framing>(&framed);
  if (framing == nullptr) return;
  const http1::ForwardedBy by{.client_address = "192.0.2.7", .port = 80, .request_id = "id"};
  std::string out;
  http1::append_request(out, head, target, *framing, by, http1::wants_websocket(head, *framing));

  const auto end = http1::find_head_end(out, 0);
  must(!end.refusal && end.end == out.size());
  http1::RequestHead again;
  must(!http1::parse_request(out, {.bytes = out.size(), .fields = 1'000}, again));
  must(again.method == head.method && again.target == target.forward);
  must(again.known.hosts == 1 && again.known.host == target.authority);
  const auto framed_again = http1::request_framing(again);
  const auto* same = std::get_if<http1::Framing>(&framed_again);
  must(same != nullptr && same->kind == framing->kind);
  must(same->kind != http1::BodyKind::length || same->length == framing->length);
  // Ours: Host, one of framing, two of an upgrade, four X-Forwarded-*, Forwarded, the id.
  must(again.fields.size() <= head.fields.size() + 10);
}

}  // namespace karreg::proxy::fuzz
