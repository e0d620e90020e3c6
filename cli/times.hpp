#pragma once
/// Times as people give and read them; always UTC on the wire.

#include <cstdint>
#include <string>
#include <string_view>

#include "common/error.hpp"

namespace karreg::cli {

/// Milliseconds since the epoch of "2026-01-31T12:00:00Z" (fraction and offset allowed),
/// "2026-01-31", or of "90s", "15m", "2h", "3d" before @p now_ms. Error `invalid` otherwise.
Result<std::int64_t> parse_moment(std::string_view text, std::int64_t now_ms);

/// Seconds of "90s", "15m", "2h" or "3d". Error `invalid` otherwise.
Result<std::int64_t> parse_span(std::string_view text);
/// "90 s", "15 min", "2 h", "3 d": in the largest unit that fits without a rest.
std::string span_text(std::int64_t seconds);

/// "2026-01-31T12:00:00.000Z".
std::string iso_time(std::int64_t ms);
/// "2026-01-31 12:00:00", UTC.
std::string readable_time(std::int64_t ms);
/// The same of what the API says, "2026-01-31T12:00:00.000Z"; what is shorter stays as it is.
std::string readable_time(const std::string& iso);
/// "just now", "5 min ago", "3 h ago", "2 d ago".
std::string age(std::int64_t ms, std::int64_t now_ms);

}  // namespace karreg::cli
