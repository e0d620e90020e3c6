#include "reverse-proxy/access_streams.hpp"

#include "common/broker/topology.hpp"
#include "common/log.hpp"
#include "common/wire/access.hpp"
#include "common/wire/json.hpp"

namespace karreg::proxy {

using namespace std::chrono_literals;

namespace {
/// So old a line is at most before it goes.
constexpr auto publish_every = 250ms;
constexpr auto last_time = 1s;
/// Of one message.
constexpr std::size_t most_lines = 500;
constexpr std::size_t longest_path = 2048;
/// What a line costs besides its text.
constexpr std::size_t line_overhead = 64;
/// Messages; the bytes are bounded apart.
constexpr std::size_t publisher_capacity = 100'000;

std::string text_of(const AccessRecord& record) {
  wire::AccessEntry entry;
  entry.client = record.client;
  entry.method = record.method;
  entry.scheme = record.port != 0 ? record.protocol : record.tls ? "https" : "http";
  entry.port = record.port;
  entry.host = record.host;
  entry.path = record.target.substr(0, longest_path);
  entry.protocol = record.protocol;
  entry.status = record.status;
  entry.ms = static_cast<double>(record.took.count()) / 1000.0;
  entry.bytes_in = record.bytes_in;
  entry.bytes_out = record.bytes_out;
  entry.request_id = record.request_id;
  entry.trace_id = record.trace;
  entry.instance_id = record.instance;
  entry.user_agent = record.user_agent.substr(0, longest_path);
  entry.error = record.error;
  return wire::to_text(entry);
}
}  // namespace

AccessStreams::AccessStreams(const broker::Address& address)
    : publisher_(address, publisher_capacity), thread_([this] { run(); }) {}

AccessStreams::~AccessStreams() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
  publisher_.stop(last_time);
}

void AccessStreams::write(const AccessRecord& record) {
  if (record.app.empty()) return;
  auto text = text_of(record);
  const auto bytes = text.size() + line_overhead;
  const bool fits = bytes_.load(std::memory_order_relaxed) + bytes <= most_bytes;
  const auto time = std::chrono::nanoseconds(record.begun.time_since_epoch()).count();
  const std::lock_guard lock(mutex_);
  auto& waiting = open_batch(record.app);
  if (!fits) {
    ++waiting.batch.dropped;
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  bytes_.fetch_add(bytes, std::memory_order_relaxed);
  waiting.bytes += bytes;
  waiting.batch.lines.push_back({time, "", std::move(text)});
  if (waiting.batch.lines.size() < most_lines) return;
  full_ = true;
  wake_.notify_one();
}

AccessStreams::Waiting& AccessStreams::open_batch(std::string_view app) {
  auto& batches = waiting_[std::string(app)];
  if (batches.empty() || batches.back().batch.lines.size() >= most_lines) batches.emplace_back();
  return batches.back();
}

void AccessStreams::publish(const std::string& app, Waiting waiting) {
  waiting.batch.app_id = app;
  waiting.batch.service = wire::access_service;
  const auto lines = waiting.batch.lines.size();
  const auto lost = waiting.batch.dropped;
  const auto bytes = waiting.bytes;
  auto gone = [this, bytes] { bytes_.fetch_sub(bytes, std::memory_order_relaxed); };
  const auto queued =
      publisher_.publish_to_stream(broker::access_stream(app), wire::to_text(waiting.batch),
                                   [gone](const Result<void>&) { gone(); });
  if (queued) return;
  gone();
  dropped_.fetch_add(lines, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  open_batch(app).batch.dropped += lost + lines;
}

void AccessStreams::publish(ByApp& all) {
  for (auto& [app, batches] : all)
    for (auto& waiting : batches) publish(app, std::move(waiting));
  all.clear();
}

void AccessStreams::run() {
  ByApp taken;
  for (bool last = false; !last;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, publish_every, [this] { return stopping_ || full_; });
      last = stopping_;
      full_ = false;
      taken.swap(waiting_);
    }
    publish(taken);
  }
}

}  // namespace karreg::proxy
