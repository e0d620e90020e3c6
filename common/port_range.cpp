#include "common/port_range.hpp"

#include <fmt/format.h>

#include <charconv>

namespace karreg {

namespace {
/// 0: @p text is no port.
std::uint16_t port_of(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size() ? port : std::uint16_t{0};
}
}  // namespace

Result<PortRange> parse_port_range(const std::string& text) {
  if (text.empty()) return PortRange{};
  const auto dash = std::min(text.find('-'), text.size());
  const PortRange range{port_of(std::string_view(text).substr(0, dash)),
                        port_of(std::string_view(text).substr(std::min(dash + 1, text.size())))};
  if (range.first == 0 || range.last < range.first)
    return Error(ErrorKind::invalid,
                 fmt::format("\"{}\" must be a first and a last port, such as 4000-4999", text));
  if (range.size() > most_ports)
    return Error(ErrorKind::invalid, fmt::format("\"{}\" has {} ports, but may have {} at most",
                                                 text, range.size(), most_ports));
  return range;
}

Setting tcp_ports_setting() {
  return {"tcp.ports",
          "first and last port of those that TCP services may get, such as 4000-4999, the same for "
          "the API and all proxies, at most 5000; empty: there are no TCP services",
          "", false};
}

Result<PortRange> tcp_ports(const Config& config) {
  auto range = parse_port_range(config.text("tcp.ports"));
  if (!range) return range.error().within("setting tcp.ports");
  return range;
}

}  // namespace karreg
