#include "cli/log_stream.hpp"

#include "cli/retry.hpp"

namespace karreg::cli {

namespace {
constexpr int most_reconnects = 10;
}

Result<void> LogStream::read(const std::function<bool(const SseEvent&)>& on_event) {
  auto api = session_.api();
  if (!api) return api.error();
  for (int attempt = 0;;) {
    bool finished = false;
    auto done = (*api)->events(path_, last_id_, [&](const SseEvent& event) {
      attempt = 0;
      if (!event.id.empty()) last_id_ = event.id;
      finished = event.name == "END_OF_STREAM" || !on_event(event);
      return !finished;
    });
    if (finished) return ok();
    if (!done && !worth_a_retry(done.error())) return done.error();
    if (++attempt > most_reconnects)
      return done ? Error(ErrorKind::unavailable, "The log stream keeps ending.") : done.error();
    pause_before_retry(attempt);
  }
}

}  // namespace karreg::cli
