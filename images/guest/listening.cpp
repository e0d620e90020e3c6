#include "images/guest/listening.hpp"

#include <charconv>
#include <cstdint>

namespace karreg::guest {

namespace {

/// The next blank-separated word of @p line, removed from it.
std::string_view word(std::string_view& line) {
  const auto begin = line.find_first_not_of(' ');
  if (begin == std::string_view::npos) return {};
  line.remove_prefix(begin);
  const auto end = line.find(' ');
  const std::string_view result = line.substr(0, end);
  line.remove_prefix(end == std::string_view::npos ? line.size() : end);
  return result;
}

bool is_loopback(std::string_view address) {
  // Words of 32 bits in host byte order: 127.0.0.1 is 0100007F, its last byte pair the first octet.
  if (address.size() == 8) return address.substr(6) == "7F";
  return address == "00000000000000000000000001000000" ||
         (address.starts_with("0000000000000000FFFF0000") && address.substr(30) == "7F");
}

Listening scan(int port, std::string_view table) {
  Listening found = Listening::nobody;
  while (!table.empty()) {
    const auto newline = table.find('\n');
    std::string_view line = table.substr(0, newline);
    table.remove_prefix(newline == std::string_view::npos ? table.size() : newline + 1);
    word(line);  // slot
    const std::string_view local = word(line);
    word(line);                        // remote
    if (word(line) != "0A") continue;  // TCP_LISTEN
    const auto colon = local.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view digits = local.substr(colon + 1);
    std::uint32_t value = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (parsed.ec != std::errc{} || value != static_cast<std::uint32_t>(port)) continue;
    if (!is_loopback(local.substr(0, colon))) return Listening::reachable;
    found = Listening::loopback_only;
  }
  return found;
}

}  // namespace

Listening listening_on(int port, std::string_view tcp, std::string_view tcp6) {
  const Listening v4 = scan(port, tcp);
  if (v4 == Listening::reachable) return v4;
  const Listening v6 = scan(port, tcp6);
  return v6 == Listening::nobody ? v4 : v6;
}

}  // namespace karreg::guest
