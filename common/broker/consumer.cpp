#include "common/broker/consumer.hpp"

#include "common/log.hpp"

namespace karreg::broker {

using namespace std::chrono_literals;

namespace {
constexpr std::uint16_t prefetch = 64;
constexpr auto call_time = 10s;
/// How long a stop may go unnoticed.
constexpr auto poll_time = 100ms;
/// Failing messages whose failures are counted; beyond, the counts begin anew.
constexpr std::size_t max_failing = 1000;

std::size_t message_id(const Delivery& delivery) {
  return std::hash<std::string>{}(delivery.routing_key + '\n' + delivery.body);
}
}  // namespace

Disposition disposition_after(const Error& error) {
  return error.kind() == ErrorKind::unavailable ? Disposition::later : Disposition::failed;
}

Consumer::Consumer(Address address, QueueSpec queue, Handler handler, OnConnected on_connected)
    : address_(std::move(address)),
      queue_(std::move(queue)),
      handler_(std::move(handler)),
      on_connected_(std::move(on_connected)),
      thread_([this] { run(); }) {}

Consumer::~Consumer() {
  stop();
}

void Consumer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Consumer::pause(std::chrono::milliseconds duration) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, duration, [this] { return stopping_.load(); });
}

Disposition Consumer::handle(const Delivery& delivery) {
  try {
    return handler_(delivery);
  } catch (const std::exception& e) {
    log::error("message handler failed",
               {log::field("queue", queue_.name), log::field("key", delivery.routing_key),
                log::field("why", e.what())});
    return Disposition::failed;
  }
}

bool Consumer::is_hopeless(const Delivery& delivery) {
  const auto id = message_id(delivery);
  if (failures_.size() >= max_failing && !failures_.contains(id)) failures_.clear();
  if (++failures_[id] < failures_to_reject) return false;
  log::error("message given up: it is with the dead letters now",
             {log::field("queue", queue_.name), log::field("key", delivery.routing_key),
              log::field("failures", failures_to_reject)});
  return true;
}

Result<void> Consumer::reject(Connection& connection, const Delivery& delivery) {
  // A bounded queue has no exchange for dead letters: what it drops would go there too.
  if (queue_.max_length) {
    auto sent = connection.publish(dead_exchange, delivery.routing_key, delivery.body);
    if (!sent) return sent;
  }
  return connection.reject(delivery.tag, false);
}

Result<void> Consumer::settle(Connection& connection, const Delivery& delivery,
                              Disposition disposition) {
  if (disposition == Disposition::failed && is_hopeless(delivery))
    disposition = Disposition::reject;
  if (disposition == Disposition::ack || disposition == Disposition::reject) {
    failures_.erase(message_id(delivery));
    if (disposition == Disposition::reject) return reject(connection, delivery);
    tries_.reset();
    return connection.ack(delivery.tag);
  }
  // Without a pause it would come back at once, for as long as the cause lasts.
  pause(tries_.next());
  // What is not answered is delivered again to whoever consumes next.
  return stopping_ ? ok() : connection.reject(delivery.tag, true);
}

Result<void> Consumer::serve(Connection& connection) {
  while (!stopping_) {
    auto delivery = connection.next(poll_time);
    if (!delivery) return delivery.error();
    if (!*delivery) continue;
    auto settled = settle(connection, **delivery, handle(**delivery));
    if (!settled) return settled;
  }
  return ok();
}

void Consumer::run() {
  Backoff backoff;
  while (!stopping_) {
    auto connection = Connection::open(address_, call_time);
    auto ready = connection ? connection->declare_exchanges() : Result<void>(connection.error());
    if (ready) ready = connection->declare_queue(queue_);
    if (ready) ready = connection->consume(queue_.name, prefetch);
    if (ready) {
      backoff.reset();
      if (on_connected_) on_connected_();
      ready = serve(*connection);
    }
    if (ready) continue;
    const auto retry = backoff.next();
    log::warn("broker is away",
              {log::field("queue", queue_.name), log::field("why", ready.error().message()),
               log::field("retry_ms", retry.count())});
    pause(retry);
  }
}

}  // namespace karreg::broker
