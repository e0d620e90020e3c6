#pragma once

#include <functional>
#include <string>

#include "cli/session.hpp"

namespace karreg::cli {

/// A log of the platform, read as server-sent events.
class LogStream {
 public:
  /// @p after: id of the event to begin after; empty: as the path says.
  LogStream(Session& session, std::string path, std::string after = {})
      : session_(session), path_(std::move(path)), last_id_(std::move(after)) {}

  /// Reads until @p on_event returns false or the platform says that there is no more; reconnects a
  /// few times and goes on after the last event. Heartbeats are events, too.
  Result<void> read(const std::function<bool(const SseEvent&)>& on_event);
  /// Of the last event that was read and has one.
  const std::string& last_id() const { return last_id_; }

 private:
  Session& session_;
  std::string path_;
  std::string last_id_;
};

}  // namespace karreg::cli
