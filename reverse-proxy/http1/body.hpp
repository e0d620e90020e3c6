#pragma once
/// Where the body of a message ends (RFC 9112 §6), decided in one place for both directions, and
/// the decoder of chunks.

#include <cstdint>
#include <memory>
#include <span>
#include <variant>

#include "reverse-proxy/http1/trailers.hpp"

namespace karreg::proxy::http1 {

enum class BodyKind {
  none,
  length,       ///< Content-Length bytes
  chunked,      ///< Transfer-Encoding: chunked
  until_close,  ///< answers only: all until the end of the connection
};

struct Framing {
  BodyKind kind = BodyKind::none;
  std::uint64_t length = 0;  ///< of kind length
  bool operator==(const Framing&) const = default;
};

/// The framing, or why the message cannot be trusted.
using FramingOr = std::variant<Framing, Refusal>;

/// Refused: Content-Length beside Transfer-Encoding, more than one of either, a length that is not
/// digits only, any coding but "chunked", codings in HTTP/1.0.
FramingOr request_framing(const RequestHead& head);
/// @p head_request: the answer is one to HEAD. The same refusals (status 502).
FramingOr response_framing(const ResponseHead& head, bool head_request);

/// Takes chunked bytes as they come, keeps the state between calls, and moves the payload together
/// at the front of what it was given. Extensions are read over and dropped. Strict:
/// CR LF only, sizes of hexadecimal digits below 2^60.
class ChunkDecoder {
 public:
  struct Step {
    std::size_t consumed = 0;  ///< bytes of the input that belong to this body
    std::size_t payload = 0;   ///< bytes now at the front of the input
    bool done = false;         ///< the last chunk and the trailers are through
    std::optional<Refusal> refusal;
  };
  Step decode(std::span<char> bytes);
  /// The fields after the last chunk that are passed on; nullptr: none.
  const Trailers* trailers() const {
    return trailing_ && !trailing_->fields.empty() ? &trailing_->fields : nullptr;
  }

 private:
  enum class State { size, extension, size_lf, data, data_cr, data_lf, trailer, trailer_lf, done };
  /// Takes one byte outside of payload; returns what is wrong with it.
  std::optional<std::string_view> take(char c);
  /// Takes the line that has ended.
  std::optional<std::string_view> take_trailer();

  State state_ = State::size;
  std::uint64_t size_ = 0;
  int digits_ = 0;
  std::size_t overhead_ = 0;  ///< bytes of extensions and trailers so far
  /// Few bodies have any.
  struct Trailing {
    std::string line;  ///< of which the end has not come
    Trailers fields;
  };
  std::unique_ptr<Trailing> trailing_;
};

}  // namespace karreg::proxy::http1
