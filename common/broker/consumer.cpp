#include "common/broker/consumer.hpp"

#include "common/broker/backoff.hpp"
#include "common/log.hpp"

namespace karreg::broker {

using namespace std::chrono_literals;

namespace {
constexpr std::uint16_t prefetch = 64;
constexpr auto call_time = 10s;
/// How long a stop may go unnoticed.
constexpr auto poll_time = 100ms;
}  // namespace

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
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

Result<void> Consumer::serve(Connection& connection) {
  while (!stopping_) {
    auto delivery = connection.next(poll_time);
    if (!delivery) return delivery.error();
    if (!*delivery) continue;
    Disposition disposition = Disposition::later;
    try {
      disposition = handler_(**delivery);
    } catch (const std::exception& e) {
      log::error("message handler failed",
                 {log::field("queue", queue_.name), log::field("key", (*delivery)->routing_key),
                  log::field("why", e.what())});
      // Delivered again after a moment: a lasting failure must not spin.
      std::this_thread::sleep_for(poll_time);
    }
    const auto tag = (*delivery)->tag;
    auto answered = disposition == Disposition::ack
                        ? connection.ack(tag)
                        : connection.reject(tag, disposition == Disposition::later);
    if (!answered) return answered;
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
    const auto pause = backoff.next();
    log::warn("broker is away",
              {log::field("queue", queue_.name), log::field("why", ready.error().message()),
               log::field("retry_ms", pause.count())});
    const auto until = std::chrono::steady_clock::now() + pause;
    while (!stopping_ && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(20ms);
  }
}

}  // namespace karreg::broker
