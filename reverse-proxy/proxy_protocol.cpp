#include "reverse-proxy/proxy_protocol.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

namespace karreg::proxy {

namespace {

constexpr std::string_view signature2("\r\n\r\n\0\r\nQUIT\n", 12);
/// The longest line of version 1, with its end.
constexpr std::size_t max_line = 107;

ProxyHeaderOr broken() {
  return {std::nullopt, true};
}
/// The balancer speaks for itself, or does not tell.
ProxyHeaderOr whole(std::size_t bytes) {
  return {ProxyHeader{bytes, {}, {}}, false};
}
ProxyHeaderOr whole(std::size_t bytes, Ends ends) {
  return {ProxyHeader{bytes, ends.from, std::move(ends)}, false};
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

std::optional<std::uint16_t> port(std::string_view text) {
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size() && text.size() <= 5;
  return whole ? std::optional(number) : std::nullopt;
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
  if (words.size() >= 2 && words[1] == "UNKNOWN") return whole(end + 2);
  if (words.size() != 6 || (words[1] != "TCP4" && words[1] != "TCP6")) return broken();
  const int family = words[1] == "TCP4" ? AF_INET : AF_INET6;
  Ends ends{address(family, words[2]), 0, address(family, words[3]), 0};
  const auto from = port(words[4]);
  const auto to = port(words[5]);
  if (ends.from.empty() || ends.to.empty() || !from || !to) return broken();
  ends.from_port = *from;
  ends.to_port = *to;
  return whole(end + 2, std::move(ends));
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
  if (command == 0 || family == 0 || family == 3) return whole(16 + length);
  if (family > 3) return broken();
  const bool v4 = family == 1;
  if (length < (v4 ? 12UL : 36UL)) return broken();
  const std::size_t size = v4 ? 4 : 16;
  const auto text = [&](std::size_t at) {
    std::array<char, INET6_ADDRSTRLEN> out{};
    ::inet_ntop(v4 ? AF_INET : AF_INET6, came.data() + at, out.data(), out.size());
    return std::string(out.data());
  };
  const auto number = [&](std::size_t at) {
    return static_cast<std::uint16_t>(byte(at) * 256U + byte(at + 1));
  };
  return whole(16 + length,
               Ends{text(16), number(16 + 2 * size), text(16 + size), number(18 + 2 * size)});
}

/// An address in bytes; nothing in it: @p text is none.
struct Bytes {
  int family = 0;
  std::array<unsigned char, 16> bytes{};
  std::string_view view() const {
    return {reinterpret_cast<const char*>(bytes.data()), family == AF_INET ? 4UL : 16UL};
  }
};
Bytes bytes_of(const std::string& text) {
  Bytes found;
  for (const int family : {AF_INET, AF_INET6})
    if (::inet_pton(family, text.c_str(), found.bytes.data()) == 1) {
      found.family = family;
      break;
    }
  return found;
}

void append_number(std::string& out, std::size_t number) {
  out += static_cast<char>(number >> 8U & 0xffU);
  out += static_cast<char>(number & 0xffU);
}

void append_extra(std::string& out, char type, std::string_view value) {
  if (value.empty()) return;
  out += type;
  append_number(out, value.size());
  out += value;
}

void append_line(std::string& out, int family, const Ends& ends) {
  if (family == 0) {
    out += "PROXY UNKNOWN\r\n";
    return;
  }
  out += family == AF_INET ? "PROXY TCP4 " : "PROXY TCP6 ";
  out += ends.from + ' ' + ends.to + ' ' + std::to_string(ends.from_port) + ' ' +
         std::to_string(ends.to_port) + "\r\n";
}

}  // namespace

void append_proxy_header(std::string& out, int version, const Ends& ends,
                         const ProxyExtras& extras) {
  const auto from = bytes_of(ends.from);
  const auto to = bytes_of(ends.to);
  const int family = from.family == to.family ? from.family : 0;
  if (version == 1) return append_line(out, family, ends);
  constexpr char authority = 0x02;
  constexpr char unique_id = 0x05;
  constexpr std::size_t longest_id = 128;
  std::string rest;
  if (family != 0) {
    rest.append(from.view()).append(to.view());
    append_number(rest, ends.from_port);
    append_number(rest, ends.to_port);
  }
  append_extra(rest, authority, extras.authority);
  append_extra(rest, unique_id, extras.unique_id.substr(0, longest_id));
  out += signature2;
  // Version 2, for another one; a stream over IPv4 or IPv6, or what is not told.
  out += '\x21';
  out += family == AF_INET ? '\x11' : family == AF_INET6 ? '\x21' : '\0';
  append_number(out, rest.size());
  out += rest;
}

ProxyHeaderOr read_proxy_header(std::string_view came) {
  if (is_begun(came, signature2))
    return came.size() < signature2.size() ? ProxyHeaderOr{} : read_version2(came);
  if (!is_begun(came, "PROXY ")) return broken();
  return read_version1(came);
}

}  // namespace karreg::proxy
