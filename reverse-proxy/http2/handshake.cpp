#include "reverse-proxy/http2/handshake.hpp"

#include <openssl/sha.h>

#include <array>
#include <cstring>

#include "common/crypto/digest.hpp"

namespace karreg::proxy::http2 {

Handshake::Handshake(std::uint64_t chance, std::uint64_t more_chance) {
  std::array<char, 16> nonce{};
  std::memcpy(nonce.data(), &chance, sizeof chance);
  std::memcpy(nonce.data() + sizeof chance, &more_chance, sizeof more_chance);
  key_ = crypto::base64_encode({nonce.data(), nonce.size()});
}

std::string_view Handshake::objection(const http1::ResponseHead& head) const {
  if (head.status == 101) {
    if (head.find("sec-websocket-accept") == accept_for(key_)) return {};
    return "its Sec-WebSocket-Accept does not answer the key of the handshake";
  }
  if (head.status >= 200 && head.status < 300)
    return "it answers the handshake of a WebSocket with success, but not with 101";
  return {};
}

std::string accept_for(std::string_view key) {
  std::string text(key);
  text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return crypto::base64_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

}  // namespace karreg::proxy::http2
