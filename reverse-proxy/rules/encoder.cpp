#include "reverse-proxy/rules/encoder.hpp"

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>

#include "common/handle.hpp"

namespace karreg::proxy::rules {

namespace {

/// Fast levels: an answer is compressed for one visitor, and others of the event loop wait
/// meanwhile.
constexpr int gzip_level = 4;
constexpr std::uint32_t brotli_quality = 3;
constexpr int zstd_level = 2;
/// Of the last bytes, which are looked at for repetitions: 128 KiB. With twice as many, and at the
/// next levels, an encoder of brotli or zstd holds 1.8 to 2.9 MiB instead of 1.2.
constexpr int window_bits = 17;

const std::uint8_t* bytes_of(std::span<const char> piece) {
  return reinterpret_cast<const std::uint8_t*>(piece.data());
}

class Gzip final : public Encoder {
 public:
  ~Gzip() override { deflateEnd(&stream_); }
  /// 16 of the bits say gzip.
  bool begin() {
    return deflateInit2(&stream_, gzip_level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
  }
  std::optional<std::string_view> encode(std::span<const char> piece, Then then) override {
    const int flush = then == Then::end     ? Z_FINISH
                      : then == Then::flush ? Z_SYNC_FLUSH
                                            : Z_NO_FLUSH;
    out_.clear();
    stream_.next_in = const_cast<Bytef*>(bytes_of(piece));
    stream_.avail_in = static_cast<uInt>(piece.size());
    std::array<char, 16UL * 1024> room;
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(room.data());
      stream_.avail_out = static_cast<uInt>(room.size());
      // Z_BUF_ERROR: there was nothing to do.
      const int done = deflate(&stream_, flush);
      if (done != Z_OK && done != Z_STREAM_END && done != Z_BUF_ERROR) return std::nullopt;
      out_.append(room.data(), room.size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
    return out_;
  }

 private:
  z_stream stream_{};
  std::string out_;
};

class Brotli final : public Encoder {
 public:
  bool begin(std::optional<std::uint64_t> bytes) {
    state_.reset(BrotliEncoderCreateInstance(nullptr, nullptr, nullptr));
    if (!state_) return false;
    BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_QUALITY, brotli_quality);
    std::uint32_t window = window_bits;
    // No larger than what comes.
    while (bytes && window > BROTLI_MIN_WINDOW_BITS && (std::uint64_t{1} << (window - 1)) > *bytes)
      --window;
    BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_LGWIN, window);
    if (bytes)
      BrotliEncoderSetParameter(
          state_.get(), BROTLI_PARAM_SIZE_HINT,
          static_cast<std::uint32_t>(std::min<std::uint64_t>(*bytes, std::uint32_t{1} << 30U)));
    return true;
  }
  std::optional<std::string_view> encode(std::span<const char> piece, Then then) override {
    const auto operation = then == Then::end     ? BROTLI_OPERATION_FINISH
                           : then == Then::flush ? BROTLI_OPERATION_FLUSH
                                                 : BROTLI_OPERATION_PROCESS;
    out_.clear();
    auto left = piece.size();
    const auto* next = bytes_of(piece);
    for (;;) {
      std::size_t room = 0;
      if (BrotliEncoderCompressStream(state_.get(), operation, &left, &next, &room, nullptr,
                                      nullptr) == BROTLI_FALSE)
        return std::nullopt;
      std::size_t size = 0;
      const auto* made = BrotliEncoderTakeOutput(state_.get(), &size);
      out_.append(reinterpret_cast<const char*>(made), size);
      if (left == 0 && BrotliEncoderHasMoreOutput(state_.get()) == BROTLI_FALSE) return out_;
    }
  }

 private:
  Handle<BrotliEncoderState, BrotliEncoderDestroyInstance> state_;
  std::string out_;
};

class Zstd final : public Encoder {
 public:
  bool begin(std::optional<std::uint64_t> bytes) {
    context_.reset(ZSTD_createCCtx());
    if (!context_) return false;
    auto set = [this](ZSTD_cParameter parameter, int value) {
      return ZSTD_isError(ZSTD_CCtx_setParameter(context_.get(), parameter, value)) == 0;
    };
    const bool ready =
        set(ZSTD_c_compressionLevel, zstd_level) && set(ZSTD_c_windowLog, window_bits);
    // Its tables are made to fit. It is kept to: an answer that breaks off is not ended.
    return ready &&
           (!bytes || ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(context_.get(), *bytes)) == 0);
  }
  std::optional<std::string_view> encode(std::span<const char> piece, Then then) override {
    const auto directive = then == Then::end     ? ZSTD_e_end
                           : then == Then::flush ? ZSTD_e_flush
                                                 : ZSTD_e_continue;
    out_.clear();
    ZSTD_inBuffer in{piece.data(), piece.size(), 0};
    std::array<char, 16UL * 1024> room;
    for (;;) {
      ZSTD_outBuffer out{room.data(), room.size(), 0};
      const auto left = ZSTD_compressStream2(context_.get(), &out, &in, directive);
      if (ZSTD_isError(left) != 0) return std::nullopt;
      out_.append(room.data(), out.pos);
      const bool through = then == Then::more ? in.pos == in.size : left == 0;
      if (through) return out_;
    }
  }

 private:
  Handle<ZSTD_CCtx, ZSTD_freeCCtx> context_;
  std::string out_;
};

template <class Kind, class... Arguments>
std::unique_ptr<Encoder> begun(const Arguments&... arguments) {
  auto encoder = std::make_unique<Kind>();
  if (!encoder->begin(arguments...)) return nullptr;
  return encoder;
}

}  // namespace

std::unique_ptr<Encoder> Encoder::make(Coding coding, std::optional<std::uint64_t> bytes) {
  switch (coding) {
    case Coding::gzip:
      return begun<Gzip>();
    case Coding::br:
      return begun<Brotli>(bytes);
    case Coding::zstd:
      return begun<Zstd>(bytes);
    case Coding::identity:
      break;
  }
  return nullptr;
}

}  // namespace karreg::proxy::rules
