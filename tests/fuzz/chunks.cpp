// The decoder of chunks: the same payload, trailers, end and refusal however the bytes come, and
// trailers that are passed on are read as they are. The first byte says where they are cut.
#include <string>

#include "fuzz/forwarded.hpp"

using namespace karreg::proxy;

namespace {
struct Decoded {
  std::string payload;
  std::string trailers;
  std::size_t consumed = 0;
  bool done = false;
  bool refused = false;
  bool operator==(const Decoded&) const = default;
};

Decoded decode(std::string bytes, std::size_t step) {
  http1::ChunkDecoder decoder;
  Decoded decoded;
  for (std::size_t at = 0; at < bytes.size() && !decoded.done && !decoded.refused;) {
    const auto size = std::min(step, bytes.size() - at);
    const auto got = decoder.decode({bytes.data() + at, size});
    fuzz::must(got.consumed <= size && got.payload <= got.consumed);
    decoded.payload.append(bytes.data() + at, got.payload);
    decoded.consumed += got.consumed;
    decoded.done = got.done;
    decoded.refused = got.refusal.has_value();
    fuzz::must(got.done || got.refusal || got.consumed == size);
    at += got.consumed;
  }
  if (decoded.done && decoder.trailers() != nullptr)
    decoded.trailers = decoder.trailers()->last_chunk(false);
  return decoded;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto whole = decode(bytes, bytes.size());
  fuzz::must(decode(bytes, 1) == whole);
  fuzz::must(decode(bytes, 1 + data[0] % 16) == whole);
  if (whole.trailers.empty()) return 0;
  const auto again = decode(whole.trailers, whole.trailers.size());
  fuzz::must(again.done && again.payload.empty() && again.consumed == whole.trailers.size());
  fuzz::must(again.trailers == whole.trailers);
  return 0;
}
