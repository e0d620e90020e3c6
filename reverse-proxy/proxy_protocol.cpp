#include "reverse-proxy/proxy_protocol.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <vector>

namespace karreg::proxy {

namespace {

constexpr std::string_view signature2("\r\n\r\n\0\r\nQUIT\n", 12);
/// The longest line of version 1, with its end.
constexpr std::size_t max_line = 107;

ProxyHeaderOr broken() {
  return {std::nullopt, true};
}
ProxyHeaderOr whole(std::size_t bytes, std::string client) {
  return {ProxyHeader{bytes, std::move(client)}, false};
}

bool is_begun(std::string_view came, std::string_view expected) {
  return came.substr(0, expected.size()) == expected.substr(0, came.size());
}

/// @p text as the kernel would write it; empty: it is no address of @p family.
std::string address(int family, const std::string& text) {
  std::array<unsigned char, 16> bytes{};
  if (::inet_pton(family, text.c_str(), bytes.data()) != 1) return {};
  std::array<char, INET6_ADDRSTRLEN> out{};
  return ::inet_ntop(family, bytes.data(), out.data(), out.size()) == nullptr ? "" : out.data();
}

bool is_port(std::string_view text) {
  const bool digits = !text.empty() && text.size() <= 5 &&
                      std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  return digits && std::stoi(std::string(text)) <= 65'535;
}

/// "PROXY TCP4 1.2.3.4 5.6.7.8 1000 80\r\n", "PROXY UNKNOWN...\r\n".
ProxyHeaderOr read_version1(std::string_view came) {
  const auto end = came.substr(0, max_line).find("\r\n");
  if (end == std::string_view::npos) return came.size() >= max_line ? broken() : ProxyHeaderOr{};
  std::vector<std::string> words;
  for (std::string_view rest = came.substr(0, end);;) {
    const auto space = rest.find(' ');
    words.emplace_back(rest.substr(0, space));
    if (space == std::string_view::npos) break;
    rest.remove_prefix(space + 1);
  }
  if (words.size() >= 2 && words[1] == "UNKNOWN") return whole(end + 2, {});
  if (words.size() != 6 || (words[1] != "TCP4" && words[1] != "TCP6")) return broken();
  const int family = words[1] == "TCP4" ? AF_INET : AF_INET6;
  auto client = address(family, words[2]);
  if (client.empty() || address(family, words[3]).empty()) return broken();
  if (!is_port(words[4]) || !is_port(words[5])) return broken();
  return whole(end + 2, std::move(client));
}

ProxyHeaderOr read_version2(std::string_view came) {
  if (came.size() < 16) return {};
  auto byte = [&](std::size_t at) { return static_cast<unsigned char>(came[at]); };
  const int command = byte(12) & 0xf;
  if (byte(12) >> 4 != 2 || command > 1) return broken();
  const std::size_t length = byte(14) * 256UL + byte(15);
  if (16 + length > max_proxy_header) return broken();
  if (came.size() < 16 + length) return {};
  // LOCAL: a health check of the balancer's own.
  const int family = byte(13) >> 4;
  if (command == 0 || family == 0 || family == 3) return whole(16 + length, {});
  if (family > 3) return broken();
  const bool v4 = family == 1;
  if (length < (v4 ? 12UL : 36UL)) return broken();
  std::array<char, INET6_ADDRSTRLEN> out{};
  ::inet_ntop(v4 ? AF_INET : AF_INET6, came.data() + 16, out.data(), out.size());
  return whole(16 + length, out.data());
}

}  // namespace

ProxyHeaderOr read_proxy_header(std::string_view came) {
  if (is_begun(came, signature2))
    return came.size() < signature2.size() ? ProxyHeaderOr{} : read_version2(came);
  if (!is_begun(came, "PROXY ")) return broken();
  return read_version1(came);
}

}  // namespace karreg::proxy
