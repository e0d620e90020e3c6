#pragma once
/// One AMQP 0-9-1 connection with one channel, for one thread. rabbitmq-c behind domain words.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/broker/settings.hpp"
#include "common/broker/topology.hpp"
#include "common/error.hpp"

namespace karreg::broker {

/// A message as it came.
struct Delivery {
  std::uint64_t tag = 0;
  std::string routing_key;
  std::string body;
  std::optional<std::int64_t> stream_offset;  ///< streams only
};

/// Where reading of a stream begins.
struct StreamStart {
  /// `last`: the newest chunk, which is one message or several.
  enum class At { first, last, next, offset, time };
  At at = At::first;
  std::int64_t offset = 0;  ///< At::offset: the first message wanted
  std::int64_t time_s = 0;  ///< At::time: seconds since the epoch; a whole chunk from there, so
                            ///< some older ones may come too
};

class Connection {
 public:
  /// Connects, logs in and opens a channel, all within @p timeout. Error `unavailable`.
  static Result<Connection> open(const Address& address, std::chrono::milliseconds timeout);
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

  /// The exchanges `karreg`, `karreg.dead` and the queue of dead letters.
  Result<void> declare_exchanges();
  /// The queue, its bindings, and the end of those that it replaces.
  Result<void> declare_queue(const QueueSpec& spec);
  /// A stream that forgets what is older than @p max_age (such as "7D"). Error `conflict` when it
  /// exists with other arguments; the connection is of no use then.
  Result<void> declare_stream(const std::string& name, const std::string& max_age);
  Result<void> delete_queue(const std::string& name);

  Result<void> enable_confirms();
  /// Publishes persistently; the confirm comes through wait_confirms().
  Result<void> publish(const std::string& exchange_name, const std::string& routing_key,
                       const std::string& body);
  /// Waits until all that was published is confirmed. Error `unavailable` when it is not within @p
  /// timeout or the broker refused one.
  Result<void> wait_confirms(std::chrono::milliseconds timeout);

  Result<void> consume(const std::string& queue, std::uint16_t prefetch);
  /// Error `not_found` when the stream does not exist.
  Result<void> consume_stream(const std::string& stream, const StreamStart& start,
                              std::uint16_t prefetch);
  /// The next message, or nothing within @p timeout. Serves heartbeats meanwhile.
  Result<std::optional<Delivery>> next(std::chrono::milliseconds timeout);
  Result<void> ack(std::uint64_t tag);
  Result<void> reject(std::uint64_t tag, bool requeue);
  /// Serves heartbeats of an idle publisher and notices a closed connection.
  Result<void> idle(std::chrono::milliseconds timeout);

 private:
  struct Impl;
  explicit Connection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace karreg::broker
