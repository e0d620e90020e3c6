#pragma once

#include <optional>

#include "common/broker/connection.hpp"

namespace karreg::broker {

/// Reads a stream from a place on, over a connection of its own. Blocking, for one thread; at most
/// `prefetch` messages are held here.
class StreamReader {
 public:
  /// Error `not_found` when there is no such stream, `unavailable` when the broker is away.
  static Result<StreamReader> open(const Address& address, const std::string& stream,
                                   const StreamStart& start);
  /// The next message, or nothing within @p timeout.
  Result<std::optional<Delivery>> next(std::chrono::milliseconds timeout);

 private:
  explicit StreamReader(Connection connection) : connection_(std::move(connection)) {}
  Connection connection_;
};

}  // namespace karreg::broker
