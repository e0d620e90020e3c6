#pragma once
/// Reading an application's log stream: history and what comes, with places to resume from.

#include <memory>
#include <string>
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

/// Follows one stream. Survives a broker that goes away and a stream that does not exist yet.
class LogFollower {
 public:
  LogFollower(const Services& services, std::string app_id, broker::StreamStart start,
              std::optional<LogPlace> after = std::nullopt);

  /// The lines of the next message, or none within @p timeout. Never fails: while the broker is
  /// away there are simply none, and away() says so.
  awaitable<std::vector<FollowedLine>> next(std::chrono::milliseconds timeout);
  bool away() const { return away_; }

 private:
  const Services& services_;
  std::string stream_;
  broker::StreamStart start_;
  std::optional<LogPlace> after_;
  std::shared_ptr<broker::StreamReader> reader_;
  bool away_ = false;
};

}  // namespace karreg::api
