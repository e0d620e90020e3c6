// Fields of an answer by HTTP/2, names and values between zeros: what is accepted goes to a client
// of HTTP/1.1 as one answer, with the fields that came and no others. The first byte: whether a
// status stands before them, and whether the answer is one to HEAD.
#include "fuzz/forwarded.hpp"
#include "reverse-proxy/http2/answer_fields.hpp"

using namespace karreg::proxy;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  http2::AnswerFields fields;
  if ((data[0] & 1) != 0) fields.add(":status", "200", {});
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  auto next = [&rest] {
    const auto end = rest.find('\0');
    const auto text = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return text;
  };
  while (!rest.empty()) {
    const auto name = next();
    fields.add(name, next(), {});
  }
  http1::ResponseHead head;
  if (fields.finish(head)) return 0;
  http1::AnswerForm form{.request_id = "id"};
  form.head_request = (data[0] & 2) != 0;
  const auto framed = http1::response_framing(head, form.head_request);
  const auto* framing = std::get_if<http1::Framing>(&framed);
  if (framing == nullptr) return 0;
  const auto meant = http1::framing_to_client(*framing, 1);
  std::string out;
  http1::append_response(out, head, meant, form);

  const auto end = http1::find_head_end(out, 0);
  fuzz::must(!end.refusal && end.end == out.size());
  http1::ResponseHead again;
  fuzz::must(!http1::parse_response(out, {.bytes = out.size(), .fields = 1'000}, again));
  fuzz::must(again.status == head.status);
  fuzz::must(again.known.transfer_encodings + again.known.content_lengths <= 1);
  // Ours: one of framing, one about the connection, the id.
  fuzz::must(again.fields.size() <= head.fields.size() + 3);
  return 0;
}
