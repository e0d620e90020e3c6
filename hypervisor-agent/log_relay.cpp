#include "hypervisor-agent/log_relay.hpp"

#include <utility>

namespace karreg::agent {

namespace {
std::size_t cost(const wire::guest::LogLine& line) {
  return line.text.size() + line.process.size() + 64;
}
}  // namespace

std::string service_of(const std::string& stream, const std::string& kind) {
  if (stream == "build" || stream == "karreg") return stream;
  return kind == "job" ? "job" : "app";
}

LogRelay::LogRelay(asio::any_io_executor executor, Uplink& uplink, const wire::VmSpec& spec,
                   std::function<void(std::uint64_t)> acknowledge)
    : executor_(std::move(executor)),
      uplink_(uplink),
      kind_(spec.kind),
      acknowledge_(std::move(acknowledge)) {
  head_.app_id = spec.app_id;
  head_.deployment_id = spec.deployment_id;
  head_.instance_id = spec.instance_id;
}

void LogRelay::take(const wire::guest::Log& log) {
  if (log.seq <= taken_) return;
  taken_ = log.seq;
  for (const auto& line : log.lines) {
    last_lines_.push_back(line.text);
    if (last_lines_.size() > kept_lines) last_lines_.pop_front();
  }
  dropped_ += log.dropped;
  // Neighbours of one service travel together; the order of lines is kept.
  std::size_t i = 0;
  while (i < log.lines.size()) {
    wire::LogBatch batch = head_;
    batch.service = service_of(log.lines[i].stream, kind_);
    std::size_t bytes = 0;
    for (; i < log.lines.size() && service_of(log.lines[i].stream, kind_) == batch.service; ++i) {
      bytes += cost(log.lines[i]);
      batch.lines.push_back(log.lines[i]);
    }
    enqueue({std::move(batch), bytes, i == log.lines.size() ? log.seq : 0});
  }
  if (log.lines.empty()) owed_ = log.seq;
  retry();
}

void LogRelay::enqueue(Part part) {
  while (waiting_bytes() + part.bytes > capacity_bytes && !queue_.empty()) {
    queued_bytes_ -= queue_.front().bytes;
    drop(queue_.front());
    queue_.pop_front();
  }
  if (waiting_bytes() + part.bytes > capacity_bytes) {
    drop(part);
    return;
  }
  queued_bytes_ += part.bytes;
  queue_.push_back(std::move(part));
}

void LogRelay::drop(const Part& part) {
  dropped_ += part.batch.dropped + part.batch.lines.size();
  owed_ = std::max(owed_, part.completes);
}

void LogRelay::retry() {
  while (!queue_.empty()) {
    Part& part = queue_.front();
    part.batch.dropped += std::exchange(dropped_, 0);
    auto done = [self = weak_from_this(), executor = executor_, bytes = part.bytes,
                 completes = part.completes](const Result<void>& result) {
      // What was not confirmed stays unacknowledged: the guest gives it to the next agent.
      if (!result) return;
      asio::post(executor, [self, bytes, completes] {
        if (auto relay = self.lock()) relay->confirmed(bytes, completes);
      });
    };
    auto taken = uplink_.log(part.batch, std::move(done));
    if (!taken) return;
    queued_bytes_ -= part.bytes;
    sent_bytes_ += part.bytes;
    queue_.pop_front();
  }
  settle();
}

void LogRelay::confirmed(std::size_t bytes, std::uint64_t completes) {
  sent_bytes_ -= bytes;
  if (completes > 0) acknowledge_(completes);
  if (completes >= owed_) owed_ = 0;
  retry();
}

void LogRelay::settle() {
  if (owed_ == 0 || waiting_bytes() > 0) return;
  acknowledge_(std::exchange(owed_, 0));
}

}  // namespace karreg::agent
