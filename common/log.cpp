#include "common/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>

namespace karreg::log {

std::string render(std::initializer_list<Field> fields) {
  std::string text;
  for (const auto& [key, value] : fields) {
    text += ' ';
    text += key;
    text += '=';
    const bool quote = value.empty() || value.find_first_of(" \"=\n\r\t\\") != std::string::npos;
    if (quote) text += '"';
    for (char c : value) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '\n') {
        text += "\\n";
      } else if (c == '"' || c == '\\') {
        text += '\\';
        text += c;
      } else if (byte < 0x20 || byte == 0x7f) {
        text += fmt::format("\\x{:02x}", byte);
      } else {
        text += c;
      }
    }
    if (quote) text += '"';
  }
  return text;
}

void start(std::string_view program, std::string_view level) {
  auto logger = spdlog::stderr_logger_mt(std::string(program));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%fZ %l %n[%P] %v", spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::from_str(std::string(level)));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace karreg::log
