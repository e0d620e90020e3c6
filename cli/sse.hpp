#pragma once
/// Server-sent events out of bytes that come in pieces. Source: WHATWG HTML, section 9.2.6.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace karreg::cli {

struct SseEvent {
  std::string id;    ///< of the last event that had one
  std::string name;  ///< "message" when none was given
  std::string data;
};

class SseParser {
 public:
  /// Adds @p piece and calls @p on_event for each event that is complete; stops early when it
  /// returns false and gives back false.
  bool feed(std::string_view piece, const std::function<bool(const SseEvent&)>& on_event);

 private:
  bool line(std::string_view text, const std::function<bool(const SseEvent&)>& on_event);

  std::string pending_;  ///< a line without its end yet
  bool after_cr_ = false;
  SseEvent event_;
  bool has_data_ = false;
};

}  // namespace karreg::cli
