#include "common/broker/publisher.hpp"

#include <future>

#include "common/broker/backoff.hpp"
#include "common/broker/connection.hpp"
#include "common/log.hpp"

namespace karreg::broker {

using namespace std::chrono_literals;

namespace {
constexpr std::size_t batch_size = 64;
constexpr auto call_time = 10s;
constexpr const char* log_age = "7D";
}  // namespace

Publisher::Publisher(Address address, std::size_t capacity)
    : address_(std::move(address)), capacity_(capacity), thread_([this] { run(); }) {}

Publisher::~Publisher() {
  stop(0ms);
}

Result<void> Publisher::publish(std::string routing_key, std::string body, Done done) {
  return enqueue({Kind::news, std::move(routing_key), std::move(body), std::move(done)});
}

Result<void> Publisher::publish_to_stream(std::string stream, std::string body, Done done) {
  return enqueue({Kind::stream, std::move(stream), std::move(body), std::move(done)});
}

Result<void> Publisher::delete_queue(std::string name, Done done) {
  return enqueue({Kind::remove, std::move(name), {}, std::move(done)});
}

Result<void> Publisher::publish_and_wait(std::string routing_key, std::string body,
                                         std::chrono::milliseconds timeout) {
  auto promise = std::make_shared<std::promise<Result<void>>>();
  auto future = promise->get_future();
  auto queued = publish(std::move(routing_key), std::move(body),
                        [promise](Result<void> result) { promise->set_value(std::move(result)); });
  if (!queued) return queued;
  if (future.wait_for(timeout) != std::future_status::ready)
    return Error(ErrorKind::timeout, "the broker did not confirm in time");
  return future.get();
}

Result<void> Publisher::enqueue(Message message) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return Error(ErrorKind::unavailable, "the publisher is stopping");
  if (queue_.size() >= capacity_)
    return Error(ErrorKind::unavailable, "the broker is away and " + std::to_string(capacity_) +
                                             " messages wait for it already");
  queue_.push_back(std::move(message));
  wake_.notify_one();
  return ok();
}

void Publisher::stop(std::chrono::milliseconds timeout) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) stop_at_ = std::chrono::steady_clock::now() + timeout;
    stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

Result<void> Publisher::declare(Connection& connection, const std::string& stream) {
  if (declared_.contains(stream) || declared_otherwise_.contains(stream)) return ok();
  auto made = connection.declare_stream(stream, log_age);
  if (made) {
    declared_.insert(stream);
  } else if (made.error().kind() == ErrorKind::conflict) {
    log::warn("stream keeps the arguments it has",
              {log::field("stream", stream), log::field("why", made.error().message())});
    declared_otherwise_.insert(stream);
  }
  return made;
}

Result<void> Publisher::send_batch(Connection& connection) {
  std::vector<Message> batch;
  {
    const std::lock_guard lock(mutex_);
    const std::size_t n = std::min(queue_.size(), batch_size);
    // References into a deque stay good while others push at its end.
    for (std::size_t i = 0; i < n; ++i)
      batch.push_back({queue_[i].kind, queue_[i].target, queue_[i].body, {}});
  }
  for (const auto& message : batch) {
    Result<void> sent;
    if (message.kind == Kind::remove) {
      sent = connection.delete_queue(message.target);
      declared_.erase(message.target);
      declared_otherwise_.erase(message.target);
    } else if (message.kind == Kind::stream) {
      sent = declare(connection, message.target);
      if (!sent) return sent;
      sent = connection.publish("", message.target, message.body);
    } else {
      sent = connection.publish(exchange, message.target, message.body);
    }
    if (!sent) return sent;
  }
  auto confirmed = connection.wait_confirms(call_time);
  if (!confirmed) return confirmed;
  std::vector<Done> done;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (queue_.front().done) done.push_back(std::move(queue_.front().done));
      queue_.pop_front();
    }
  }
  for (auto& callback : done) callback(ok());
  return ok();
}

void Publisher::run() {
  Backoff backoff;
  std::optional<Connection> connection;
  const auto pause = [&](std::chrono::milliseconds duration) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, duration, [this] { return stopping_; });
  };
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      if (queue_.empty() && !stopping_) wake_.wait_for(lock, 500ms);
      if (stopping_ && (queue_.empty() || std::chrono::steady_clock::now() >= stop_at_)) break;
    }
    if (!connection) {
      auto opened = Connection::open(address_, call_time);
      auto ready = opened ? opened->declare_exchanges() : Result<void>(opened.error());
      if (ready) ready = opened->enable_confirms();
      if (!ready) {
        const auto retry = backoff.next();
        log::warn("broker is away", {log::field("why", ready.error().message()),
                                     log::field("retry_ms", retry.count())});
        pause(retry);
        continue;
      }
      declared_.clear();
      connection.emplace(std::move(*opened));
    }
    bool has_work = false;
    {
      const std::lock_guard lock(mutex_);
      has_work = !queue_.empty();
    }
    auto result = has_work ? send_batch(*connection) : connection->idle(0ms);
    if (!result) {
      connection.reset();
      // Only what was confirmed ends the back-off: a broker that lets us in and refuses the batch
      // each time is no better than one that is away.
      const auto retry = backoff.next();
      log::warn("broker connection lost", {log::field("why", result.error().message()),
                                           log::field("retry_ms", retry.count())});
      pause(retry);
    } else if (has_work) {
      backoff.reset();
    }
  }
  std::deque<Message> rest;
  {
    const std::lock_guard lock(mutex_);
    rest.swap(queue_);
  }
  for (auto& message : rest)
    if (message.done)
      message.done(
          Error(ErrorKind::unavailable, "the program stopped before the broker confirmed"));
}

}  // namespace karreg::broker
