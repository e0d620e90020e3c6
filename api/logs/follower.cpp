#include "api/logs/follower.hpp"

#include <charconv>

#include "common/async/offload.hpp"
#include "common/async/task_group.hpp"
#include "common/broker/topology.hpp"
#include "common/wire/json.hpp"

namespace karreg::api {

namespace {
/// Between two tries to open a stream.
constexpr std::chrono::milliseconds retry_time{600};
}  // namespace

std::optional<LogPlace> LogPlace::parse(const std::string& text) {
  LogPlace place;
  const char* end = text.data() + text.size();
  auto first = std::from_chars(text.data(), end, place.offset);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '.') return std::nullopt;
  auto second = std::from_chars(first.ptr + 1, end, place.index);
  if (second.ec != std::errc{} || second.ptr != end) return std::nullopt;
  return place;
}

LogFollower::LogFollower(const Services& services, std::string app_id, broker::StreamStart start,
                         std::optional<LogPlace> after)
    : services_(services),
      stream_(broker::log_stream(app_id)),
      start_(start),
      after_(after),
      slot_(services.log_slots) {
  if (after_) {
    start_.at = broker::StreamStart::At::offset;
    start_.offset = after_->offset;
  }
}

awaitable<bool> LogFollower::open() {
  if (!slot_) slot_ = ReaderSlots::Slot(services_.log_slots);
  if (!slot_) {
    away_ = true;
    co_return false;
  }
  const auto now = std::chrono::steady_clock::now();
  if (now < open_at_) co_return false;
  open_at_ = now + retry_time;
  const auto connect = [address = services_.settings.broker, stream = stream_, start = start_] {
    return broker::StreamReader::open(address, stream, start);
  };
  auto opened = co_await offload(services_.log_pool, connect);
  // An app that never printed anything has no stream yet: that is not "away".
  away_ = !opened && opened.error().kind() != ErrorKind::not_found;
  if (!opened) co_return false;
  reader_ = std::make_shared<broker::StreamReader>(std::move(*opened));
  co_return true;
}

awaitable<std::vector<FollowedLine>> LogFollower::next(std::chrono::milliseconds timeout) {
  std::vector<FollowedLine> lines;
  if (!reader_) {
    const bool opened = co_await open();
    if (!opened) {
      co_await sleep_for(timeout);
      co_return lines;
    }
  }
  const auto read = [reader = reader_, timeout] { return reader->next(timeout); };
  auto delivery = co_await offload(services_.log_pool, read);
  if (!delivery) {
    reader_.reset();
    co_return lines;
  }
  if (!*delivery) co_return lines;
  const std::int64_t offset = (*delivery)->stream_offset.value_or(0);
  auto batch = wire::from_text<wire::LogBatch>((*delivery)->body, "LogBatch");
  if (batch) {
    if (batch->dropped > 0)
      batch->lines.insert(
          batch->lines.begin(),
          {batch->lines.empty() ? 0 : batch->lines.front().time_ns, "karreg",
           std::to_string(batch->dropped) +
               " older lines were dropped: they came faster than they could be kept"});
    for (std::size_t i = 0; i < batch->lines.size(); ++i) {
      const LogPlace place{offset, i};
      if (after_ && place <= *after_) continue;
      auto& line = batch->lines[i];
      lines.push_back({place, line.time_ns, batch->service, line.stream, std::move(line.text),
                       batch->instance_id, batch->deployment_id});
    }
    if (!batch->lines.empty()) after_ = LogPlace{offset, batch->lines.size() - 1};
  }
  // Where to go on after a lost connection.
  start_.at = broker::StreamStart::At::offset;
  start_.offset = offset;
  co_return lines;
}

}  // namespace karreg::api
