#pragma once
/// The handshake of a WebSocket that came by HTTP/2 (RFC 8441 §5): its visitor sends no key, so the
/// proxy asks the application with one of its own and checks the answer. Pure.

#include <cstdint>
#include <string>

#include "reverse-proxy/http1/head.hpp"

namespace karreg::proxy::http2 {

class Handshake {
 public:
  /// @p chance, @p more_chance: the 16 bytes of the key.
  Handshake(std::uint64_t chance, std::uint64_t more_chance);

  /// The field to ask with; valid as long as this is.
  http1::Field field() const { return {"Sec-WebSocket-Key", key_}; }
  /// Why @p head, 101 or a final answer, must not reach the visitor, in English; empty: it may. A
  /// wrong Sec-WebSocket-Accept (RFC 6455 §4.1), and success without a switch of protocols, which
  /// would open his tunnel without anybody at its end.
  std::string_view objection(const http1::ResponseHead& head) const;

 private:
  std::string key_;
};

/// What answers @p key in Sec-WebSocket-Accept (RFC 6455 §4.2.2).
std::string accept_for(std::string_view key);

}  // namespace karreg::proxy::http2
