#pragma once
/// Logging: one event, one line, `key=value` fields after the sentence. Values with spaces are
/// quoted; secrets never go in. Levels by what the reader must do: error = act now, warn = look
/// today, info = normal milestones, debug = developers.

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <string>
#include <string_view>

namespace karreg::log {

/// One field of an event, e.g. `field("app", app_id)`.
struct Field {
  std::string_view key;
  std::string value;
};

template <class T>
Field field(std::string_view key, const T& value) {
  return {key, fmt::format("{}", value)};
}

/// " key=value key2=\"two words\"" with control characters escaped.
std::string render(std::initializer_list<Field> fields);

/// Sets the program's name and level ("debug", "info", "warn", "error") once, at the top of main.
/// Lines go to stderr.
void start(std::string_view program, std::string_view level);

inline void debug(std::string_view event, std::initializer_list<Field> fields = {}) {
  if (spdlog::should_log(spdlog::level::debug)) spdlog::debug("{}{}", event, render(fields));
}
inline void info(std::string_view event, std::initializer_list<Field> fields = {}) {
  spdlog::info("{}{}", event, render(fields));
}
inline void warn(std::string_view event, std::initializer_list<Field> fields = {}) {
  spdlog::warn("{}{}", event, render(fields));
}
inline void error(std::string_view event, std::initializer_list<Field> fields = {}) {
  spdlog::error("{}{}", event, render(fields));
}

}  // namespace karreg::log
