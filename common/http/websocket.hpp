#pragma once
/// The server's end of a WebSocket (RFC 6455), without the library that speaks it.

#include <string>
#include <string_view>

#include "common/async/asio.hpp"
#include "common/error.hpp"

namespace karreg::http {

/// Why a socket is closed (RFC 6455 §7.4.1, and the IANA registry for the last).
enum class CloseCode : std::uint16_t {
  normal = 1000,
  going_away = 1001,
  policy = 1008,
  try_again_later = 1013,
};

/// An open socket. One coroutine may read while another one writes or closes; what the client's
/// control frames ask for is answered while something reads.
class WebSocket {
 public:
  virtual ~WebSocket() = default;
  /// The next message. Error `too_large` beyond the bound (the socket is closed then with 1009),
  /// `unavailable` when it is closed or the client is gone.
  virtual awaitable<Result<std::string>> read() = 0;
  /// Sends a text message. Error `unavailable` when the client is gone or takes nothing for the
  /// server's write time.
  virtual awaitable<Result<void>> write(std::string_view message) = 0;
  /// Says goodbye with @p reason (at most 123 bytes) and waits a little for the client's; then the
  /// connection ends.
  virtual awaitable<void> close(CloseCode code, std::string_view reason) = 0;
};

}  // namespace karreg::http
