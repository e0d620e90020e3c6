#include "common/wire/rule_checks.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <ranges>

#include "common/cidr.hpp"
#include "common/text.hpp"

namespace karreg::wire {

namespace {

bool is_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// Printable ASCII without the space.
bool is_visible(char c) {
  return c > 0x20 && c < 0x7f;
}

bool one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::ranges::any_of(names, [&](std::string_view n) { return text::iequals(n, name); });
}

/// The number at the front of @p text up to @p end, which is taken away; -1 when there is none.
int number_before(std::string_view& text, char end) {
  int number = -1;
  const auto stop = text.find(end);
  if (stop == std::string_view::npos) return -1;
  const auto digits = text.substr(0, stop);
  const auto [at, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || at != digits.data() + digits.size()) return -1;
  text.remove_prefix(stop + 1);
  return number;
}

bool is_crypt_text(std::string_view text, std::size_t size) {
  return text.size() == size &&
         std::ranges::all_of(text, [](char c) { return is_alnum(c) || c == '.' || c == '/'; });
}

/// "$2b$10$" and 53 characters of salt and digest.
bool is_bcrypt(std::string_view hash) {
  if (!hash.starts_with("$2a$") && !hash.starts_with("$2b$") && !hash.starts_with("$2y$"))
    return false;
  hash.remove_prefix(4);
  const int cost = number_before(hash, '$');
  return cost >= 4 && cost <= 12 && is_crypt_text(hash, 53);
}

/// "$6$salt$digest" or "$6$rounds=5000$salt$digest".
bool is_sha512_crypt(std::string_view hash) {
  if (!hash.starts_with("$6$")) return false;
  hash.remove_prefix(3);
  if (hash.starts_with("rounds=")) {
    hash.remove_prefix(7);
    const int rounds = number_before(hash, '$');
    if (rounds < 1000 || rounds > 100'000) return false;
  }
  const auto salt = hash.find('$');
  return salt != std::string_view::npos && salt >= 1 && salt <= 16 &&
         is_crypt_text(hash.substr(0, salt), salt) && is_crypt_text(hash.substr(salt + 1), 86);
}

}  // namespace

Wrong check_rule_host(std::string_view host) {
  const bool fine =
      !host.empty() && host.size() <= 253 && host.front() != '.' && host.back() != '.' &&
      std::ranges::all_of(host, [](char c) {
        return (is_alnum(c) && text::lower(c) == c) || c == '-' || c == '.' || c == '_';
      });
  if (fine) return std::nullopt;
  return "must be a host name in lower case without a port";
}

Wrong check_rule_path(std::string_view path) {
  const bool fine =
      path.starts_with('/') && path.size() <= RuleBounds::path_bytes &&
      std::ranges::all_of(path, [](char c) { return is_visible(c) && c != '?' && c != '#'; });
  if (fine) return std::nullopt;
  return "must be a path: it begins with \"/\", has no \"?\", \"#\", spaces or characters beyond "
         "ASCII (write those as %XX), and at most 1024 characters";
}

Wrong check_redirect_target(std::string_view to) {
  static constexpr std::string_view what =
      "must be a path that begins with one \"/\", or a URL that begins with http:// or https:// "
      "and "
      "a host, of at most 2048 visible ASCII characters";
  if (to.size() > RuleBounds::url_bytes || !std::ranges::all_of(to, is_visible) ||
      to.find('\\') != std::string_view::npos)
    return std::string(what);
  // Of "//host" a browser makes another site.
  if (to.starts_with('/')) return to.starts_with("//") ? Wrong(what) : std::nullopt;
  const auto scheme = to.starts_with("https://") ? 8U : to.starts_with("http://") ? 7U : 0U;
  if (scheme == 0) return std::string(what);
  const auto rest = to.substr(scheme);
  auto host = rest.substr(0, rest.find_first_of("/?#"));
  if (const auto port = host.rfind(':'); port != std::string_view::npos) {
    const auto digits = host.substr(port + 1);
    const bool number = !digits.empty() && digits.size() <= 5 &&
                        std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
    if (!number) return std::string(what);
    host = host.substr(0, port);
  }
  if (check_rule_host(text::lower(host))) return std::string(what);
  return std::nullopt;
}

bool leads_to_itself(const Redirect& redirect) {
  auto to = redirect.to.substr(0, redirect.to.find_first_of("?#"));
  if (!to.starts_with('/')) {
    // Of another host, unless it names the one that is redirected. A scheme alone changes nothing:
    // both are the application's.
    const auto scheme_end = to.find("://");
    if (scheme_end == std::string::npos) return false;
    const auto host_at = scheme_end + 3;
    const auto path_at = std::min(to.find('/', host_at), to.size());
    const auto host = text::lower(to.substr(host_at, path_at - host_at));
    if (redirect.host.empty() || host != redirect.host) return false;
    to = path_at < to.size() ? to.substr(path_at) : "/";
  }
  if (!redirect.path.empty()) return to == redirect.path;
  if (!redirect.prefix.empty())
    return to.starts_with(redirect.prefix) || to + "/" == redirect.prefix;
  return true;
}

Wrong check_cidr(std::string_view range) {
  if (parse_cidr(range)) return std::nullopt;
  return "must be an address or a range of them like 192.0.2.0/24 or 2001:db8::/32, without bits "
         "behind its length";
}

Wrong check_password_hash(std::string_view hash) {
  if (is_bcrypt(hash) || is_sha512_crypt(hash)) return std::nullopt;
  return "must be a hash of the password, not the password: bcrypt ($2b$, cost 4 to 12) or "
         "SHA-512 crypt ($6$, 1000 to 100000 rounds), as `karreg rules password` prints it";
}

Wrong check_user_name(std::string_view name) {
  const bool fine = !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != ':';
  });
  if (fine && text::is_utf8(name)) return std::nullopt;
  return "must be a name of 1 to 64 bytes without \":\" and control characters (RFC 7617)";
}

Wrong check_rule_field(std::string_view name, bool of_request) {
  static constexpr std::array<std::string_view, 15> any = {"connection",
                                                           "keep-alive",
                                                           "proxy-connection",
                                                           "te",
                                                           "trailer",
                                                           "upgrade",
                                                           "transfer-encoding",
                                                           "content-length",
                                                           "content-encoding",
                                                           "proxy-authorization",
                                                           "proxy-authenticate",
                                                           "http2-settings",
                                                           "x-request-id",
                                                           "content-range",
                                                           "alt-svc"};
  static constexpr std::array<std::string_view, 14> of_requests = {"host",
                                                                   "expect",
                                                                   "forwarded",
                                                                   "x-forwarded-for",
                                                                   "x-forwarded-proto",
                                                                   "x-forwarded-host",
                                                                   "x-forwarded-port",
                                                                   "x-real-ip",
                                                                   "x-forwarded-ssl",
                                                                   "x-forwarded-scheme",
                                                                   "accept-encoding",
                                                                   "range",
                                                                   "client-cert",
                                                                   "client-cert-chain"};
  if (!text::is_token(name) || name.size() > 128)
    return "must be the name of a header field: letters, digits and -";
  // Servers that hand fields on as variables take X_Forwarded_For for X-Forwarded-For.
  std::string plain(name);
  std::ranges::replace(plain, '_', '-');
  if (one_of(plain, any) || (of_request && one_of(plain, of_requests)))
    return "must not be a field that the proxy keeps itself, about the framing, the connection or "
           "where a request came from";
  return std::nullopt;
}

Wrong check_field_value(std::string_view value) {
  const bool fine =
      value.size() <= RuleBounds::field_bytes &&
      std::ranges::all_of(
          value, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; }) &&
      !value.starts_with(' ') && !value.ends_with(' ');
  if (fine) return std::nullopt;
  return "must be at most 4096 bytes without control characters, and no space at either end";
}

Wrong check_security_field(std::string_view name, std::string_view value) {
  static constexpr std::array<std::string_view, 7> known = {
      "Strict-Transport-Security", "X-Content-Type-Options",  "X-Frame-Options",
      "Referrer-Policy",           "Content-Security-Policy", "Permissions-Policy",
      "Cross-Origin-Opener-Policy"};
  if (std::ranges::find(known, name) == known.end())
    return "is not one of Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, "
           "Referrer-Policy, Content-Security-Policy, Permissions-Policy and "
           "Cross-Origin-Opener-Policy (others can be set by response_headers)";
  if (name == "Strict-Transport-Security" && !value.empty() && !value.starts_with("max-age="))
    return "must begin with max-age= and seconds, or be empty";
  return check_field_value(value);
}

}  // namespace karreg::wire
