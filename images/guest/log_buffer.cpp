#include "images/guest/log_buffer.hpp"

namespace karreg::guest {

using wire::guest::Log;
using wire::guest::LogLine;

namespace {
constexpr std::chrono::milliseconds company_time{50};
}

std::vector<std::string> LineSplitter::take(std::string_view bytes) {
  std::vector<std::string> lines;
  for (char c : bytes) {
    if (c == '\n') {
      if (!partial_.empty() && partial_.back() == '\r') partial_.pop_back();
      lines.push_back(std::move(partial_));
      partial_.clear();
      continue;
    }
    partial_ += c;
    if (partial_.size() >= wire::guest::max_log_line_bytes) {
      lines.push_back(std::move(partial_));
      partial_.clear();
    }
  }
  return lines;
}

std::optional<std::string> LineSplitter::rest() {
  if (partial_.empty()) return std::nullopt;
  std::string line = std::move(partial_);
  partial_.clear();
  return line;
}

void LogBuffer::add(LogLine line, Clock::time_point now) {
  if (pending_.empty()) oldest_ = now;
  pending_bytes_ += cost(line);
  pending_.push_back(std::move(line));
  while (pending_bytes_ + sent_bytes_ > capacity_ && pending_.size() > 1) {
    pending_bytes_ -= cost(pending_.front());
    pending_.pop_front();
    ++dropped_;
  }
}

std::optional<Log> LogBuffer::next(Clock::time_point now) {
  if (resend_at_ < to_resend_) return sent_[resend_at_++].log;
  if (pending_.empty() || sent_bytes_ >= window) return std::nullopt;
  if (!hurry_ && pending_bytes_ < batch_bytes && now < oldest_ + company_time) return std::nullopt;
  Log log;
  log.seq = next_seq_++;
  log.dropped = std::exchange(dropped_, 0);
  std::size_t bytes = 0;
  while (!pending_.empty() && (bytes == 0 || bytes + cost(pending_.front()) <= batch_bytes)) {
    bytes += cost(pending_.front());
    log.lines.push_back(std::move(pending_.front()));
    pending_.pop_front();
  }
  pending_bytes_ -= bytes;
  oldest_ = now;
  sent_bytes_ += bytes;
  sent_.push_back({log, bytes});
  return log;
}

void LogBuffer::ack(std::uint64_t seq) {
  while (!sent_.empty() && sent_.front().log.seq <= seq) {
    sent_bytes_ -= sent_.front().bytes;
    sent_.pop_front();
    if (to_resend_ > 0) --to_resend_;
    if (resend_at_ > 0) --resend_at_;
  }
}

void LogBuffer::resend() {
  to_resend_ = sent_.size();
  resend_at_ = 0;
}

std::optional<Clock::time_point> LogBuffer::due() const {
  if (resend_at_ < to_resend_) return Clock::time_point{};
  if (pending_.empty() || sent_bytes_ >= window) return std::nullopt;
  return hurry_ ? Clock::time_point{} : oldest_ + company_time;
}

}  // namespace karreg::guest
