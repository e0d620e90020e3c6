// The head of an HTTP/1 request: read alike however its bytes come, and forwarded unmistakably.
#include "fuzz/forwarded.hpp"

using namespace karreg::proxy;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto whole = http1::find_head_end(bytes, 0);
  http1::HeadEnd piecewise;
  for (std::size_t seen = 0; seen <= bytes.size(); ++seen) {
    piecewise = http1::find_head_end(bytes.substr(0, seen), seen == 0 ? 0 : seen - 1);
    if (piecewise.end || piecewise.refusal) break;
  }
  fuzz::must(piecewise.end == whole.end);
  fuzz::must(piecewise.refusal.has_value() == whole.refusal.has_value());
  if (!whole.end) return 0;
  http1::RequestHead head;
  if (!http1::parse_request(bytes.substr(0, *whole.end), {}, head)) fuzz::check_forwarded(head);
  return 0;
}
