#pragma once
/// The guest's bounded memory of log lines. Pure: time comes in through parameters.

#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "common/wire/guest.hpp"

namespace karreg::guest {

using Clock = std::chrono::steady_clock;

/// Cuts a byte stream into lines of at most `max_log_line_bytes`; a longer line goes on in the next
/// one.
class LineSplitter {
 public:
  /// Lines completed by @p bytes, without their newline (a carriage return before it is dropped
  /// too).
  std::vector<std::string> take(std::string_view bytes);
  /// What is left without a newline when the stream ends.
  std::optional<std::string> rest();

 private:
  std::string partial_;
};

/// Lines wait here until the agent has made them durable. At the bound the oldest lines that were
/// not sent yet are dropped and counted; the count travels with the next batch.
class LogBuffer {
 public:
  explicit LogBuffer(std::size_t capacity_bytes = std::size_t{1024} * 1024)
      : capacity_(capacity_bytes) {}

  void add(wire::guest::LogLine line, Clock::time_point now);
  /// The next batch to send, if it is time: a batch waits for company up to 50 ms, and at most
  /// `window` bytes are on their way unacknowledged.
  std::optional<wire::guest::Log> next(Clock::time_point now);
  /// The agent has batches up to @p seq.
  void ack(std::uint64_t seq);
  /// A new agent is attached: everything unacknowledged goes out again.
  void resend();
  /// Nothing waits to be sent or acknowledged.
  bool empty() const { return pending_.empty() && sent_.empty(); }
  /// Makes next() not wait for company: the VM is about to end.
  void hurry() { hurry_ = true; }
  /// When next() may have something again; nothing when there is nothing to wait for.
  std::optional<Clock::time_point> due() const;

 private:
  struct Sent {
    wire::guest::Log log;
    std::size_t bytes;
  };
  static constexpr std::size_t window = std::size_t{256} * 1024;
  /// A byte becomes at most six in JSON (a control character): the line stays below
  /// `wire::guest::max_line_bytes`.
  static constexpr std::size_t batch_bytes = std::size_t{40} * 1024;
  static std::size_t cost(const wire::guest::LogLine& line) {
    return line.text.size() + line.process.size() + 64;
  }

  std::size_t capacity_;
  std::deque<wire::guest::LogLine> pending_;
  std::size_t pending_bytes_ = 0;
  std::deque<Sent> sent_;  ///< unacknowledged, in order
  std::size_t sent_bytes_ = 0;
  std::size_t to_resend_ = 0;  ///< how many of sent_, from the front + already resent, go out again
  std::size_t resend_at_ = 0;
  std::uint64_t next_seq_ = 1;
  std::uint64_t dropped_ = 0;
  Clock::time_point oldest_{};
  bool hurry_ = false;
};

}  // namespace karreg::guest
