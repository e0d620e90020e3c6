#include "reverse-proxy/http1/target.hpp"

#include <algorithm>

#include "common/text.hpp"

namespace karreg::proxy::http1 {

namespace {

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

bool is_port(std::string_view text) {
  return text.size() <= 5 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// "http://host:port" of @p target removed, and "host:port" returned; nothing when it is in origin
/// form.
std::optional<std::string_view> take_authority(std::string_view& target) {
  for (std::string_view scheme : {"http://", "https://"}) {
    if (!text::iequals(target.substr(0, scheme.size()), scheme)) continue;
    target.remove_prefix(scheme.size());
    const auto end = target.find_first_of("/?");
    const auto authority = target.substr(0, end);
    target.remove_prefix(authority.size());
    return authority;
  }
  return std::nullopt;
}

}  // namespace

bool normalise_host(std::string_view authority, std::string& into) {
  into.clear();
  if (authority.empty() || authority.size() > 260) return false;
  auto host = authority;
  if (host.front() == '[') {
    const auto close = host.find(']');
    if (close == std::string_view::npos) return false;
    const auto rest = host.substr(close + 1);
    if (!rest.empty() && (rest.front() != ':' || !is_port(rest.substr(1)))) return false;
    into = host.substr(0, close + 1);
    std::ranges::transform(into, into.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    return std::ranges::all_of(std::string_view(into).substr(1, into.size() - 2), [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == ':' || c == '.';
    });
  }
  if (const auto colon = host.find(':'); colon != std::string_view::npos) {
    if (!is_port(host.substr(colon + 1))) return false;
    host = host.substr(0, colon);
  }
  // The root's dot says nothing; after a second one the name would not be in its normal form yet.
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.ends_with('.')) return false;
  into.reserve(host.size());
  for (char c : host) into += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return !into.empty() && std::ranges::all_of(into, is_host_char);
}

std::optional<Refusal> read_target(const RequestHead& head, Target& into) {
  if (head.method == "CONNECT") return Refusal{405, "CONNECT is not offered here"};
  if (head.known.hosts > 1) return Refusal{400, "the Host header is there more than once"};
  if (head.known.hosts == 0 && head.minor_version >= 1)
    return Refusal{400, "the Host header is missing"};
  auto rest = head.target;
  // Its host counts, also where it names none (RFC 9112 §3.2.2).
  const auto absolute = take_authority(rest);
  const auto authority = absolute.value_or(head.known.host);
  if (!absolute) {
    if (rest == "*") {
      if (head.method != "OPTIONS") return Refusal{400, "only OPTIONS has the target *"};
    } else if (rest.front() != '/') {
      return Refusal{400, "the request target must begin with / or http://"};
    }
  } else if (rest.empty()) {
    rest = "/";
  } else if (rest.front() == '?') {
    return Refusal{400, "the request target has a query but no path"};
  }
  if (rest.find('#') != std::string_view::npos)
    return Refusal{400, "the request target has a fragment"};
  if (!normalise_host(authority, into.host))
    return Refusal{400, "the Host header does not name a host"};
  into.authority = authority;
  into.path = rest.substr(0, rest.find('?'));
  into.forward = rest;
  return std::nullopt;
}

}  // namespace karreg::proxy::http1
