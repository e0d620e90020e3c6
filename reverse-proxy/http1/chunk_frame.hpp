#pragma once

#include <array>
#include <charconv>
#include <span>

#include "reverse-proxy/http1/body.hpp"

namespace karreg::proxy::http1 {

/// What stands around one piece of a body that is chunked (RFC 9112 §7.1); nothing around others.
/// The last one is followed by @c trailers, which stay meanwhile; nullptr: none.
class ChunkFrame {
 public:
  ChunkFrame(std::span<const char> bytes, bool last, BodyKind kind,
             const Trailers* trailers = nullptr) {
    if (kind != BodyKind::chunked) return;
    if (!bytes.empty()) {
      auto [stop, error] = std::to_chars(size_.data(), size_.data() + 18, bytes.size(), 16);
      *stop++ = '\r';
      *stop++ = '\n';
      size_length_ = static_cast<std::size_t>(stop - size_.data());
      after_ = last ? "\r\n0\r\n\r\n" : "\r\n";
    } else if (last) {
      after_ = "0\r\n\r\n";
    }
    if (last && trailers != nullptr) after_ = trailers->last_chunk(!bytes.empty());
  }
  /// Valid as long as this is.
  std::string_view before() const { return {size_.data(), size_length_}; }
  std::string_view after() const { return after_; }

 private:
  std::array<char, 20> size_{};
  std::size_t size_length_ = 0;
  std::string_view after_;
};

}  // namespace karreg::proxy::http1
