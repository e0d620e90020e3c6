// The head of an application's answer: what is passed on is one head, of the same status.
#include "fuzz/forwarded.hpp"

using namespace karreg::proxy;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto end = http1::find_head_end(bytes, 0);
  if (!end.end) return 0;
  http1::ResponseHead head;
  if (http1::parse_response(bytes.substr(0, *end.end), {}, head)) return 0;
  const auto framed = http1::response_framing(head, false);
  const auto* framing = std::get_if<http1::Framing>(&framed);
  if (framing == nullptr) return 0;
  const http1::AnswerForm form{.request_id = "id", .hsts = true};
  std::string out;
  http1::append_response(out, head, http1::framing_to_client(*framing, 1), form);
  const auto out_end = http1::find_head_end(out, 0);
  fuzz::must(!out_end.refusal && out_end.end == out.size());
  http1::ResponseHead again;
  fuzz::must(!http1::parse_response(out, {.bytes = out.size(), .fields = 1'000}, again));
  fuzz::must(again.status == head.status);
  const auto framed_again = http1::response_framing(again, false);
  fuzz::must(std::holds_alternative<http1::Framing>(framed_again));
  return 0;
}
