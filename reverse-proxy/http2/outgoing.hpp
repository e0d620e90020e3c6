#pragma once
/// What a session of HTTP/2 has to say, gathered frame by frame into one buffer. Bodies go from
/// where they are into it, without a copy in nghttp2.

#include <nghttp2/nghttp2.h>

#include <span>
#include <string_view>

#include "reverse-proxy/connection.hpp"

namespace karreg::proxy::http2 {

class Outgoing {
 public:
  explicit Outgoing(BufferPool& buffers) : buffers_(buffers) {}
  ~Outgoing() { release(); }
  Outgoing(const Outgoing&) = delete;
  Outgoing& operator=(const Outgoing&) = delete;

  /// What @p frames has to say next, as much as fits; valid until the next call. Empty: nothing.
  /// @p failed: nghttp2 can say nothing more.
  std::string_view gather(nghttp2_session* frames, bool& failed);
  /// Gives the memory back, until the next gather().
  void release() { buffers_.take_back(out_); }

  // For nghttp2's callbacks about DATA, during gather().

  /// Bytes of a body that the next frame may have.
  std::size_t data_room() const;
  /// Puts a frame of DATA with @p bytes and the head @p head behind what was gathered; what the
  /// callback returns.
  int put_data(const std::uint8_t* head, std::span<const char> bytes);

 private:
  void take_waiting();

  BufferPool& buffers_;
  Buffer out_;
  /// Of nghttp2's last frame, what did not fit; until it is asked again.
  std::string_view waiting_;
};

}  // namespace karreg::proxy::http2
