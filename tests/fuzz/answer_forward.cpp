// An application's answer, passed on in any form: the client reads one answer of the framing that
// the proxy meant, with no field about a connection but the proxy's own. The first byte is the
// form.
#include "common/text.hpp"
#include "fuzz/forwarded.hpp"

using namespace karreg::proxy;

namespace {
bool is_about_a_connection(std::string_view name) {
  for (const std::string_view one : {"keep-alive", "proxy-connection", "te", "trailer"})
    if (karreg::text::iequals(one, name)) return true;
  return false;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto end = http1::find_head_end(bytes, 0);
  if (!end.end) return 0;
  http1::ResponseHead head;
  if (http1::parse_response(bytes.substr(0, *end.end), {}, head)) return 0;
  http1::AnswerForm form{.request_id = "id"};
  form.client_minor_version = (data[0] & 1) != 0 ? 0 : 1;
  form.keep_alive = (data[0] & 2) != 0;
  form.head_request = (data[0] & 4) != 0;
  form.hsts = (data[0] & 8) != 0;
  if ((data[0] & 16) != 0) form.sticky_cookie = "karreg=token; Path=/";
  // As the exchange does: a tunnel only for the protocol that was asked for.
  form.upgrade = head.status == 101;
  if (form.upgrade && !karreg::text::iequals(head.known.upgrade, "websocket")) return 0;
  const auto framed = http1::response_framing(head, form.head_request);
  const auto* framing = std::get_if<http1::Framing>(&framed);
  if (framing == nullptr) return 0;
  const auto meant = http1::framing_to_client(*framing, form.client_minor_version);
  std::string out;
  http1::append_response(out, head, meant, form);

  const auto out_end = http1::find_head_end(out, 0);
  fuzz::must(!out_end.refusal && out_end.end == out.size());
  http1::ResponseHead again;
  fuzz::must(!http1::parse_response(out, {.bytes = out.size(), .fields = 1'000}, again));
  fuzz::must(again.status == head.status && again.reason == head.reason);
  const auto framed_again = http1::response_framing(again, form.head_request);
  const auto* same = std::get_if<http1::Framing>(&framed_again);
  fuzz::must(same != nullptr && *same == meant);
  fuzz::must(again.known.transfer_encodings + again.known.content_lengths <= 1);
  for (const auto& field : again.fields) fuzz::must(!is_about_a_connection(field.name));
  const bool final = head.status >= 200;
  if (final && form.client_minor_version == 1) fuzz::must(again.persistent() == form.keep_alive);
  fuzz::must(again.known.connection_upgrade == form.upgrade);
  // Ours: one of framing, two about the connection, the id, HSTS, the cookie.
  fuzz::must(again.fields.size() <= head.fields.size() + 6);
  return 0;
}
