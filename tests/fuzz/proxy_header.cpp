// The PROXY protocol's header: one that is complete was not broken, nor complete, before its last
// byte; and who it tells of is the same when we tell it on.
#include "fuzz/forwarded.hpp"
#include "reverse-proxy/proxy_protocol.hpp"

using namespace karreg::proxy;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto whole = read_proxy_header(bytes);
  if (!whole.header) return 0;
  const auto length = whole.header->bytes;
  fuzz::must(length <= size && length <= max_proxy_header);
  for (std::size_t n = 0; n < length; ++n) {
    const auto part = read_proxy_header(bytes.substr(0, n));
    fuzz::must(!part.header && !part.broken);
  }
  const auto exact = read_proxy_header(bytes.substr(0, length));
  fuzz::must(exact.header && exact.header->client == whole.header->client);
  const auto& ends = whole.header->ends;
  if (whole.header->client.empty()) return 0;
  for (const int version : {1, 2}) {
    std::string told;
    append_proxy_header(told, version, ends, {bytes.substr(0, 255), bytes});
    const auto again = read_proxy_header(told);
    fuzz::must(again.header && again.header->bytes == told.size() && again.header->ends == ends);
  }
  return 0;
}
