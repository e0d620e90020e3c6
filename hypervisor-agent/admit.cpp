#include "hypervisor-agent/admit.hpp"

#include <algorithm>
#include <array>

namespace karreg::agent {

namespace msg = wire::guest;

namespace {
/// docs/contracts.md §3 and wire::guest::State.
constexpr std::array<std::string_view, 8> phases = {
    "configuring", "pre_run", "building", "packing", "starting", "listening", "stopping", "exited"};
constexpr std::array<std::string_view, 4> streams = {"out", "err", "build", "karreg"};

void clean(std::string& text, std::size_t max_bytes) {
  text = cleaned(text, max_bytes);
}

bool admissible(msg::Hello& hello) {
  clean(hello.instance_id, max_sentence_bytes);
  return true;
}

bool admissible(msg::State& state) {
  clean(state.detail, max_sentence_bytes);
  return std::ranges::find(phases, state.phase) != phases.end();
}

bool admissible(msg::Log& log) {
  for (auto& line : log.lines) {
    clean(line.text, wire::guest::max_log_line_bytes);
    clean(line.process, max_process_bytes);
    // Its lines are not lost with a stream that nobody knows.
    if (std::ranges::find(streams, line.stream) == streams.end()) line.stream = "out";
  }
  return true;
}

bool admissible(msg::BuildResult& result) {
  clean(result.failed_step, max_sentence_bytes);
  clean(result.reason, max_sentence_bytes);
  return true;
}

bool admissible(msg::Exit& exit) {
  clean(exit.reason, max_sentence_bytes);
  // What is made of them by sums (128 and the signal) stays a number.
  exit.exit_code = std::clamp(exit.exit_code, 0, 255);
  exit.signal = std::clamp(exit.signal, 0, 64);
  return true;
}

bool admissible(msg::Pong&) {
  return true;
}
}  // namespace

std::string cleaned(std::string_view text, std::size_t max_bytes) {
  std::string result(text);
  std::erase(result, '\0');
  if (result.size() <= max_bytes) return result;
  auto is_continuation = [&](std::size_t i) {
    return (static_cast<unsigned char>(result[i]) & 0xc0U) == 0x80U;
  };
  std::size_t end = max_bytes;
  while (end > 0 && is_continuation(end)) --end;
  result.resize(end);
  return result;
}

std::optional<msg::FromGuest> admit(msg::FromGuest message) {
  const bool good = std::visit([](auto& content) { return admissible(content); }, message);
  if (!good) return std::nullopt;
  return message;
}

}  // namespace karreg::agent
