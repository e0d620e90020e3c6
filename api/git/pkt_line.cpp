#include "api/git/pkt_line.hpp"

#include <fmt/format.h>

#include <charconv>
#include <stdexcept>

namespace karreg::api::git {

std::string pkt_line(std::string_view payload) {
  return fmt::format("{:04x}{}", payload.size() + 4, payload);
}

std::optional<PktReader::Packet> PktReader::next() {
  if (buffer_.size() < 4) return std::nullopt;
  std::size_t length = 0;
  const auto parsed = std::from_chars(buffer_.data(), buffer_.data() + 4, length, 16);
  if (parsed.ec != std::errc{} || parsed.ptr != buffer_.data() + 4)
    throw std::runtime_error("malformed pkt-line length \"" + buffer_.substr(0, 4) + "\"");
  if (length < 4) {  // flush (0), delimiter (1), end of response (2)
    buffer_.erase(0, 4);
    return Packet{true, {}};
  }
  if (buffer_.size() < length) return std::nullopt;
  Packet packet{false, buffer_.substr(4, length - 4)};
  buffer_.erase(0, length);
  return packet;
}

bool holds_packet(std::string_view bytes) {
  PktReader reader;
  reader.feed(bytes);
  try {
    return reader.next().has_value();
  } catch (const std::runtime_error&) {
    return true;
  }
}

std::optional<RefCommand> parse_command(std::string_view payload) {
  while (!payload.empty() && (payload.back() == '\n' || payload.back() == '\0'))
    payload.remove_suffix(1);
  if (payload.size() < 40 + 1 + 40 + 1 + 1 || payload[40] != ' ' || payload[81] != ' ')
    return std::nullopt;
  return RefCommand{std::string(payload.substr(0, 40)), std::string(payload.substr(41, 40)),
                    std::string(payload.substr(82))};
}

bool is_polling_client(std::string_view body_beginning) {
  return body_beginning.substr(0, 1024).find("agent=git/isomorphic-git") != std::string_view::npos;
}

}  // namespace karreg::api::git
