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

std::optional<RefCommand> parse_command(std::string_view payload) {
  while (!payload.empty() && (payload.back() == '\n' || payload.back() == '\0'))
    payload.remove_suffix(1);
  if (payload.size() < 40 + 1 + 40 + 1 + 1 || payload[40] != ' ' || payload[81] != ' ')
    return std::nullopt;
  return RefCommand{std::string(payload.substr(0, 40)), std::string(payload.substr(41, 40)),
                    std::string(payload.substr(82))};
}

void PushHead::feed(std::string_view bytes) {
  if (stage_ == Stage::pack) pack_bytes_ += static_cast<std::int64_t>(bytes.size());
  if (stage_ == Stage::pack || stage_ == Stage::malformed) return;
  reader_.feed(bytes);
  try {
    while (stage_ != Stage::pack) {
      const auto packet = reader_.next();
      if (!packet) return;
      take(*packet);
    }
  } catch (const std::runtime_error&) {
    // git will say what is wrong with it.
    stage_ = Stage::malformed;
    return;
  }
  pack_bytes_ = static_cast<std::int64_t>(reader_.rest());
}

void PushHead::take(const PktReader::Packet& packet) {
  if (packet.flush) {
    const bool options_follow = stage_ == Stage::commands && offers("push-options");
    stage_ = options_follow ? Stage::options : Stage::pack;
    return;
  }
  if (stage_ == Stage::options) return;
  if (packet.payload.starts_with("shallow ")) {
    shallow_ = true;
    return;
  }
  const auto zero = packet.payload.find('\0');
  if (capabilities_.empty())
    capabilities_ = zero == std::string::npos ? " " : packet.payload.substr(zero + 1) + " ";
  const auto command = parse_command(packet.payload.substr(0, zero));
  if (command && refs_.size() < most_refs) refs_.push_back(command->ref);
}

bool PushHead::offers(std::string_view capability) const {
  const std::string word = std::string(capability) + " ";
  return capabilities_.starts_with(word) || capabilities_.find(" " + word) != std::string::npos;
}

bool PushHead::polls() const {
  return capabilities_.find("agent=git/isomorphic-git") != std::string::npos;
}

}  // namespace karreg::api::git
