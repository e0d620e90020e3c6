// Fields of an HTTP/2 request, names and values between zeros: what is accepted is forwarded
// unmistakably.
#include "fuzz/forwarded.hpp"
#include "reverse-proxy/http2/request_fields.hpp"

using namespace karreg::proxy;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const bool has_body = (data[0] & 1) != 0;
  http2::RequestFields fields;
  // So that most inputs are requests at all; a second one of each is for the fuzzer to try.
  if ((data[0] & 2) != 0) {
    fields.add(":method", "GET", {});
    fields.add(":path", "/", {});
    fields.add(":authority", "a.test", {});
  }
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
  http1::RequestHead head;
  if (!fields.finish(has_body, head)) fuzz::check_forwarded(head);
  return 0;
}
