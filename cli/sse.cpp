#include "cli/sse.hpp"

namespace karreg::cli {

bool SseParser::feed(std::string_view piece, const std::function<bool(const SseEvent&)>& on_event) {
  for (const char c : piece) {
    const bool second_of_crlf = after_cr_ && c == '\n';
    after_cr_ = c == '\r';
    if (second_of_crlf) continue;
    if (c != '\n' && c != '\r') {
      pending_ += c;
      continue;
    }
    const bool more = line(pending_, on_event);
    pending_.clear();
    if (!more) return false;
  }
  return true;
}

bool SseParser::line(std::string_view text, const std::function<bool(const SseEvent&)>& on_event) {
  if (text.empty()) {
    if (!has_data_) {
      event_.name.clear();
      return true;
    }
    if (event_.name.empty()) event_.name = "message";
    const bool more = on_event(event_);
    event_.name.clear();
    event_.data.clear();
    has_data_ = false;
    return more;
  }
  const auto colon = text.find(':');
  const std::string_view field = text.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "event") {
    event_.name = value;
  } else if (field == "id") {
    event_.id = value;
  } else if (field == "data") {
    if (has_data_) event_.data += '\n';
    event_.data += value;
    has_data_ = true;
  }
  return true;
}

}  // namespace karreg::cli
