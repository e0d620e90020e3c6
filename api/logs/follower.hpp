#pragma once
/// Reading an application's log stream: history and what comes, with places to resume from.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/services.hpp"
#include "common/broker/stream_reader.hpp"
#include "common/wire/logs.hpp"

namespace karreg::api {

/// Where a line stands: "<offset of its message>.<index in it>".
struct LogPlace {
  std::int64_t offset = 0;
  std::size_t index = 0;
  std::string text() const { return std::to_string(offset) + "." + std::to_string(index); }
  static std::optional<LogPlace> parse(const std::string& text);
  auto operator<=>(const LogPlace&) const = default;
};

struct FollowedLine {
  LogPlace place;
  std::int64_t time_ns = 0;
  std::string service;
  std::string stream;
  std::string message;
  std::string instance_id;
  std::string deployment_id;
};

/// How many logs may be followed at once; each holds a connection to the broker and a thread while
/// it reads. For the io_context's thread.
class ReaderSlots {
 public:
  explicit ReaderSlots(std::size_t count) : free_(count) {}
  bool available() const { return free_ > 0; }

  /// One of them, given back at the end of its life; empty when there was none.
  class Slot {
   public:
    Slot() = default;
    explicit Slot(ReaderSlots& slots) : slots_(slots.available() ? &slots : nullptr) {
      if (slots_ != nullptr) --slots_->free_;
    }
    Slot(Slot&& other) noexcept : slots_(std::exchange(other.slots_, nullptr)) {}
    Slot& operator=(Slot&& other) noexcept {
      std::swap(slots_, other.slots_);
      return *this;
    }
    ~Slot() {
      if (slots_ != nullptr) ++slots_->free_;
    }
    explicit operator bool() const { return slots_ != nullptr; }

   private:
    ReaderSlots* slots_ = nullptr;
  };

 private:
  std::size_t free_;
};

/// Follows one stream. Survives a broker that goes away and a stream that does not exist yet.
class LogFollower {
 public:
  LogFollower(const Services& services, std::string app_id, broker::StreamStart start,
              std::optional<LogPlace> after = std::nullopt);

  /// The lines of the next message, or none within @p timeout. Never fails: while the broker is
  /// away, or every slot is taken, there are simply none, and away() says so.
  awaitable<std::vector<FollowedLine>> next(std::chrono::milliseconds timeout);
  bool away() const { return away_; }

 private:
  const Services& services_;
  std::string stream_;
  broker::StreamStart start_;
  std::optional<LogPlace> after_;
  ReaderSlots::Slot slot_;
  std::chrono::steady_clock::time_point open_at_{};  ///< not before
  std::shared_ptr<broker::StreamReader> reader_;
  awaitable<bool> open();

  bool away_ = false;
};

}  // namespace karreg::api
