// A request that asks for another protocol: the application is asked for WebSocket or for nothing,
// and for nothing that the proxy would not tunnel.
#include "common/text.hpp"
#include "fuzz/forwarded.hpp"

using namespace karreg::proxy;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  // So that most inputs ask for an upgrade at all; the rest of the head is the fuzzer's.
  std::string text = "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: ";
  text.append(reinterpret_cast<const char*>(data), size);
  text += "\r\n\r\n";
  const auto end = http1::find_head_end(text, 0);
  if (!end.end) return 0;
  http1::RequestHead head;
  if (http1::parse_request(std::string_view(text).substr(0, *end.end), {}, head)) return 0;
  http1::Target target;
  const auto framed = http1::request_framing(head);
  const auto* framing = std::get_if<http1::Framing>(&framed);
  if (framing == nullptr || http1::read_target(head, target)) return 0;
  const bool asks = http1::wants_websocket(head, *framing);
  fuzz::must(!asks || framing->kind == http1::BodyKind::none);
  std::string out;
  const http1::ForwardedBy by{.client_address = "192.0.2.7", .port = 80, .request_id = "id"};
  http1::append_request(out, head, target, *framing, by, asks);
  http1::RequestHead again;
  fuzz::must(!http1::parse_request(out, {.bytes = out.size(), .fields = 1'000}, again));
  int upgrades = 0;
  for (const auto& field : again.fields) {
    if (!karreg::text::iequals(field.name, "upgrade")) continue;
    ++upgrades;
    fuzz::must(karreg::text::iequals(field.value, "websocket"));
  }
  fuzz::must(upgrades == (asks ? 1 : 0) && again.known.connection_upgrade == asks);
  return 0;
}
