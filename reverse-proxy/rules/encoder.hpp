#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "reverse-proxy/rules/accept_encoding.hpp"

namespace karreg::proxy::rules {

/// Compresses one body, piece by piece. It holds at most 1.5 MiB, whatever the body's length, and
/// less for one that is known to be short.
class Encoder {
 public:
  enum class Then {
    more,   ///< as much is handed out as is convenient
    flush,  ///< all that was put in can be read by the receiver
    end,    ///< it was the last piece
  };
  virtual ~Encoder() = default;
  Encoder() = default;
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  /// What goes on after @p piece, valid until the next call; often empty. Nothing: the library has
  /// failed, and nothing can be made of it any more.
  virtual std::optional<std::string_view> encode(std::span<const char> piece, Then then) = 0;

  /// For a body of @p bytes, if that is known. nullptr for identity, or without memory.
  static std::unique_ptr<Encoder> make(Coding coding, std::optional<std::uint64_t> bytes);
};

}  // namespace karreg::proxy::rules
