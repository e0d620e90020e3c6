#include "api/logs/follower.hpp"

#include <algorithm>
#include <charconv>

#include "common/async/task_group.hpp"
#include "common/broker/topology.hpp"
#include "common/wire/json.hpp"

namespace karreg::api {

namespace {
/// Between two tries to open a stream.
constexpr std::chrono::milliseconds retry_time{600};
/// Longer than this the opening of a stream takes only when something is wrong with the broker.
constexpr std::chrono::milliseconds usual_open_time{2000};
/// Messages of one chunk come in one go: after so long without one it was the last.
constexpr std::chrono::milliseconds chunk_time{500};
/// For the first of them, which may have to come from a disk.
constexpr std::chrono::seconds end_time{10};
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

ReaderSlots::Slot::Slot(ReaderSlots& slots, std::string user) : user_(std::move(user)) {
  if (!slots.available() || (!user_.empty() && !slots.available_to(user_))) return;
  slots_ = &slots;
  --slots.free_;
  if (!user_.empty()) ++slots.users_[user_];
}

ReaderSlots::Slot::~Slot() {
  if (slots_ == nullptr) return;
  ++slots_->free_;
  const auto it = slots_->users_.find(user_);
  if (it != slots_->users_.end() && --it->second == 0) slots_->users_.erase(it);
}

LogFollower::LogFollower(const Services& services, std::string stream, broker::StreamStart start,
                         std::optional<LogPlace> after, std::string user)
    : services_(services),
      stream_(std::move(stream)),
      user_(std::move(user)),
      start_(start),
      after_(after),
      slot_(std::make_shared<ReaderSlots::Slot>(services.log_slots, user_)) {
  if (after_) {
    start_.at = broker::StreamStart::At::offset;
    start_.offset = after_->offset;
  }
}

void LogFollower::begin_open(const asio::any_io_executor& executor) {
  if (!*slot_) slot_ = std::make_shared<ReaderSlots::Slot>(services_.log_slots, user_);
  if (!*slot_) {
    away_ = true;
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (now < open_at_) return;
  open_at_ = now + retry_time;
  // The slot belongs to the thread as well: it is free when both are done with it.
  auto connect = [address = services_.settings.broker, stream = stream_, start = start_,
                  slot = slot_]() -> Opened {
    auto reader = broker::StreamReader::open(address, stream, start);
    if (!reader) return reader.error();
    return std::make_shared<broker::StreamReader>(std::move(*reader));
  };
  opening_ = Pending<Opened>(executor, services_.log_pool, std::move(connect));
}

void LogFollower::take_opened() {
  auto opened = opening_.take();
  missing_ = !opened && opened.error().kind() == ErrorKind::not_found;
  // An app that never printed anything has no stream yet: that is not "away".
  away_ = !opened && !missing_;
  if (opened) reader_ = std::move(*opened);
}

awaitable<std::vector<FollowedLine>> LogFollower::next(std::chrono::milliseconds timeout) {
  const auto executor = co_await asio::this_coro::executor;
  std::vector<FollowedLine> lines;
  if (!reader_) {
    if (!opening_) begin_open(executor);
    if (!opening_) {
      co_await sleep_for(timeout);
      co_return lines;
    }
    const bool done = co_await opening_.wait(timeout);
    if (done)
      take_opened();
    else if (std::chrono::steady_clock::now() > open_at_ - retry_time + usual_open_time)
      away_ = true;
    co_return lines;
  }
  if (!reading_) {
    auto read = [reader = reader_, timeout, slot = slot_] { return reader->next(timeout); };
    reading_ = Pending<Read>(executor, services_.log_pool, std::move(read));
  }
  // A little longer than the reading itself, which then is not waited for in two pieces.
  const bool done = co_await reading_.wait(timeout + timeout / 2);
  if (done) lines = take_read();
  co_return lines;
}

std::vector<FollowedLine> LogFollower::take_read() {
  auto delivery = reading_.take();
  if (!delivery) reader_.reset();
  if (!delivery || !*delivery) return {};
  return lines_of(**delivery);
}

std::vector<FollowedLine> LogFollower::lines_of(const broker::Delivery& delivery) {
  std::vector<FollowedLine> lines;
  const std::int64_t offset = delivery.stream_offset.value_or(0);
  auto batch = wire::from_text<wire::LogBatch>(delivery.body, "LogBatch");
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
                       batch->instance_id, batch->deployment_id, std::move(line.process)});
    }
    if (!batch->lines.empty()) after_ = LogPlace{offset, batch->lines.size() - 1};
  }
  // Where to go on after a lost connection.
  start_.at = broker::StreamStart::At::offset;
  start_.offset = offset;
  read_ = offset;
  return lines;
}

Result<LogEnd> end_of_log(const broker::Address& address, const std::string& stream) {
  auto reader = broker::StreamReader::open(address, stream, {broker::StreamStart::At::last, 0, 0});
  if (!reader) return reader.error();
  std::optional<LogEnd> end;
  const auto deadline = std::chrono::steady_clock::now() + end_time;
  while (std::chrono::steady_clock::now() < deadline) {
    auto delivery = reader->next(end ? chunk_time : end_time);
    if (!delivery) return delivery.error();
    if (!*delivery) break;
    if (!end) end.emplace();
    end->offset = std::max(end->offset, (*delivery)->stream_offset.value_or(0));
    auto batch = wire::from_text<wire::LogBatch>((*delivery)->body, "LogBatch");
    if (!batch) continue;
    for (const auto& line : batch->lines)
      end->newest_ms = std::max(end->newest_ms, line.time_ns / 1'000'000);
  }
  if (!end) return Error(ErrorKind::timeout, "the broker does not say where " + stream + " ends");
  return *end;
}

}  // namespace karreg::api
