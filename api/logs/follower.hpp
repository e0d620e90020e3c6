#pragma once
/// Reading an application's log stream: history and what comes, with places to resume from.

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/services.hpp"
#include "common/async/pending.hpp"
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
  std::string process = {};  ///< the worker that printed it; empty: none did
};

/// How many logs may be followed at once; each holds a connection to the broker and a thread while
/// it reads. For the io_context's thread.
class ReaderSlots {
 public:
  /// @p per_user: how many of them one user may have.
  ReaderSlots(std::size_t count, std::size_t per_user) : free_(count), per_user_(per_user) {}
  bool available() const { return free_ > 0; }
  bool available_to(const std::string& user) const {
    const auto it = users_.find(user);
    return it == users_.end() || it->second < per_user_;
  }

  /// One of them, given back at the end of its life; empty when there was none.
  class Slot {
   public:
    Slot() = default;
    /// @p user: on whose account; empty: nobody's.
    Slot(ReaderSlots& slots, std::string user);
    Slot(Slot&& other) noexcept
        : slots_(std::exchange(other.slots_, nullptr)), user_(std::move(other.user_)) {}
    Slot& operator=(Slot&& other) noexcept {
      std::swap(slots_, other.slots_);
      std::swap(user_, other.user_);
      return *this;
    }
    ~Slot();
    explicit operator bool() const { return slots_ != nullptr; }

   private:
    ReaderSlots* slots_ = nullptr;
    std::string user_;
  };

 private:
  std::size_t free_;
  std::size_t per_user_;
  std::map<std::string, std::size_t> users_;
};

/// Follows one stream. Survives a broker that goes away and a stream that does not exist yet.
class LogFollower {
 public:
  /// @p stream: broker::log_stream() or access_stream() of an app. @p user: on whose account;
  /// empty: nobody's.
  LogFollower(const Services& services, std::string stream, broker::StreamStart start,
              std::optional<LogPlace> after = std::nullopt, std::string user = {});

  /// The lines of the next message, or none within @p timeout. Never fails: while the broker is
  /// away, or every slot is taken, there are simply none, and away() says so.
  awaitable<std::vector<FollowedLine>> next(std::chrono::milliseconds timeout);
  bool away() const { return away_; }
  /// The stream is open: what is written to it now is heard.
  bool attached() const { return reader_ != nullptr; }
  /// There is no such stream: the app never printed anything, or is deleted.
  bool missing() const { return missing_; }
  /// Whether the last message that the stream had when @p last was asked for has been read.
  bool has_read(std::int64_t last) const { return read_ && *read_ >= last; }

 private:
  using Opened = Result<std::shared_ptr<broker::StreamReader>>;
  using Read = Result<std::optional<broker::Delivery>>;

  void begin_open(const asio::any_io_executor& executor);
  void take_opened();
  std::vector<FollowedLine> take_read();
  std::vector<FollowedLine> lines_of(const broker::Delivery& delivery);

  const Services& services_;
  std::string stream_;
  std::string user_;
  broker::StreamStart start_;
  std::optional<LogPlace> after_;
  std::shared_ptr<ReaderSlots::Slot> slot_;
  std::chrono::steady_clock::time_point open_at_{};  ///< not before
  Pending<Opened> opening_;
  Pending<Read> reading_;
  std::shared_ptr<broker::StreamReader> reader_;
  std::optional<std::int64_t> read_;
  bool away_ = false;
  bool missing_ = false;
};

/// The end of a stream as it is now.
struct LogEnd {
  std::int64_t offset = 0;
  std::int64_t newest_ms = 0;  ///< of the lines of its last messages; 0: they have none
};
/// Blocking. Error `not_found`: no such stream; `timeout`: the broker says nothing about it.
Result<LogEnd> end_of_log(const broker::Address& address, const std::string& stream);

}  // namespace karreg::api
