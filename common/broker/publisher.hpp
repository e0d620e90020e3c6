#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "common/broker/settings.hpp"
#include "common/error.hpp"

namespace karreg::broker {

/// Publishes from any thread over one connection of its own thread. A message is done when the
/// broker confirmed it; after a lost connection what was not confirmed is published again, so
/// consumers see it at least once.
class Publisher {
 public:
  /// Called on the publisher's thread: ok when confirmed; an error only when the publisher was
  /// stopped before.
  using Done = std::function<void(Result<void>)>;

  explicit Publisher(Address address, std::size_t capacity = 10'000);
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  /// Queues a message to the exchange `karreg`. Error `unavailable` when the queue is full (the
  /// broker has been away for long).
  Result<void> publish(std::string routing_key, std::string body, Done done = {});
  /// Queues a message to a stream, which is declared when this connection has not done so yet.
  Result<void> publish_to_stream(std::string stream, std::string body, Done done = {});
  /// publish() and the wait for its confirm. Error `timeout`: it may still be published later.
  Result<void> publish_and_wait(std::string routing_key, std::string body,
                                std::chrono::milliseconds timeout);
  /// Deletes a queue or stream; an absent one is fine.
  Result<void> delete_queue(std::string name, Done done = {});
  /// Waits up to @p timeout for the queue to be confirmed, then stops.
  void stop(std::chrono::milliseconds timeout);

 private:
  enum class Kind { news, stream, remove };
  struct Message {
    Kind kind;
    std::string target;
    std::string body;
    Done done;
  };
  Result<void> enqueue(Message message);
  void run();
  Result<void> send_batch(class Connection& connection);
  Result<void> declare(class Connection& connection, const std::string& stream);

  Address address_;
  std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Message> queue_;
  std::set<std::string> declared_;  ///< streams, on the present connection
  /// Streams that exist with other arguments than ours, as an older version declared them: good to
  /// publish to, but to declare one closes the connection.
  std::set<std::string> declared_otherwise_;
  bool stopping_ = false;
  std::chrono::steady_clock::time_point stop_at_{};
  std::thread thread_;
};

}  // namespace karreg::broker
