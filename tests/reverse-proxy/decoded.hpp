#pragma once
/// What a body says, whatever it is coded in.

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include <memory>
#include <stdexcept>
#include <string>

namespace karreg::proxy::testing {

/// What can be read of @p body so far; @p complete: the coding's own end was there.
struct Decoded {
  std::string text;
  bool complete = false;
};

inline Decoded gunzipped(const std::string& body) {
  Decoded decoded;
  z_stream stream{};
  inflateInit2(&stream, 15 + 16);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  int status = Z_OK;
  while (status == Z_OK) {
    char room[16'384];
    stream.next_out = reinterpret_cast<Bytef*>(room);
    stream.avail_out = sizeof room;
    status = inflate(&stream, Z_SYNC_FLUSH);
    decoded.text.append(room, sizeof room - stream.avail_out);
    if (stream.avail_in == 0 && stream.avail_out != 0) break;
  }
  decoded.complete = status == Z_STREAM_END && stream.avail_in == 0;
  inflateEnd(&stream);
  return decoded;
}

inline Decoded unbrotlied(const std::string& body) {
  Decoded decoded;
  const std::unique_ptr<BrotliDecoderState, void (*)(BrotliDecoderState*)> state(
      BrotliDecoderCreateInstance(nullptr, nullptr, nullptr), BrotliDecoderDestroyInstance);
  const auto* next = reinterpret_cast<const std::uint8_t*>(body.data());
  auto left = body.size();
  for (;;) {
    std::uint8_t room[16'384];
    auto* out = room;
    std::size_t free = sizeof room;
    const auto status =
        BrotliDecoderDecompressStream(state.get(), &left, &next, &free, &out, nullptr);
    decoded.text.append(reinterpret_cast<char*>(room), sizeof room - free);
    if (status == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT) continue;
    decoded.complete = status == BROTLI_DECODER_RESULT_SUCCESS && left == 0;
    return decoded;
  }
}

inline Decoded unzstded(const std::string& body) {
  Decoded decoded;
  const std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                        ZSTD_freeDCtx);
  ZSTD_inBuffer in{body.data(), body.size(), 0};
  for (;;) {
    char room[16'384];
    ZSTD_outBuffer out{room, sizeof room, 0};
    const auto left = ZSTD_decompressStream(context.get(), &out, &in);
    if (ZSTD_isError(left) != 0) return decoded;
    decoded.text.append(room, out.pos);
    decoded.complete = left == 0 && in.pos == in.size;
    if (decoded.complete || (in.pos == in.size && out.pos < out.size)) return decoded;
  }
}

inline Decoded decoded(const std::string& coding, const std::string& body) {
  if (coding == "gzip") return gunzipped(body);
  if (coding == "br") return unbrotlied(body);
  if (coding == "zstd") return unzstded(body);
  throw std::runtime_error("no such coding: " + coding);
}

}  // namespace karreg::proxy::testing
