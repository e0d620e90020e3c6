#include "builder/submodule_url.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

#include "common/text.hpp"

namespace karreg::builder {
namespace {

constexpr std::size_t max_url_bytes = 2000;
constexpr std::array<std::string_view, 2> web_schemes = {"https://", "http://"};
constexpr std::array<std::string_view, 3> ssh_schemes = {"ssh://", "git+ssh://", "ssh+git://"};

bool is_host(std::string_view text) {
  if (text.empty() || text.size() > 253 || text.front() == '-' || text.front() == '.') return false;
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  });
}

bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [rest, failed] = std::from_chars(text.data(), end, port);
  return failed == std::errc() && rest == end && port != 0;
}

/// "user:password@host:port/path" in parts.
struct Place {
  std::string_view user;  ///< with the password; empty: none
  std::string host;       ///< in lower case
  std::string_view port;  ///< ":8443", or empty
  std::string_view path;  ///< "/a/b.git"
};

std::optional<Place> place_of(std::string_view text) {
  Place place;
  const auto slash = text.find('/');
  std::string_view authority = text.substr(0, slash);
  if (slash != std::string_view::npos) place.path = text.substr(slash);
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    place.user = authority.substr(0, at);
    authority.remove_prefix(at + 1);
  }
  const auto colon = authority.find(':');
  place.host = text::lower(authority.substr(0, colon));
  if (colon != std::string_view::npos) place.port = authority.substr(colon);
  if (!is_host(place.host) || (!place.port.empty() && !is_port(place.port.substr(1))))
    return std::nullopt;
  return place;
}

/// The path of a repository as HTTPS has it; nothing for what only a shell of the host knows.
std::optional<std::string> https_path(std::string_view path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  if (path.empty() || path.starts_with('~')) return std::nullopt;
  return std::string(path);
}

/// Whether ssh takes @p user as that, and nothing else.
bool is_user(std::string_view user) {
  return !user.empty() && user.front() != '-' && std::ranges::all_of(user, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

/// @p port: ":2222", or empty.
std::optional<SubmoduleUrl> by_https(std::string_view user, const std::string& host,
                                     std::string_view port, const std::string& path) {
  user = user.substr(0, user.find(':'));  // a password is nothing that ssh takes
  if (!user.empty() && !is_user(user)) return std::nullopt;
  const std::string site = "https://" + host + "/";
  const std::string number(port.empty() ? "22" : port.substr(1));
  return SubmoduleUrl{
      site + path,
      site + path,
      site,
      host,
      true,
      "ssh://" + std::string(user.empty() ? "git" : user) + "@" + host + ":" + number + "/" + path,
      number == "22" ? host : "[" + host + "]:" + number};
}

std::optional<SubmoduleUrl> of_ssh(std::string_view rest) {
  const auto place = place_of(rest);
  if (!place) return std::nullopt;
  const auto path = https_path(place->path);
  if (!path) return std::nullopt;
  return by_https(place->user, place->host, place->port, *path);
}

/// "git@example.org:a/b.git". Nothing for what has another form, such as a path.
std::optional<SubmoduleUrl> of_scp_form(std::string_view url) {
  const auto colon = url.find(':');
  if (colon == std::string_view::npos || url.substr(colon).starts_with("::")) return std::nullopt;
  const std::string_view before = url.substr(0, colon);
  if (before.find('/') != std::string_view::npos) return std::nullopt;
  const auto at = before.find('@');
  const std::string host = text::lower(before.substr(at == std::string_view::npos ? 0 : at + 1));
  if (!is_host(host) || (at == std::string_view::npos && host.find('.') == std::string::npos))
    return std::nullopt;
  const auto path = https_path(url.substr(colon + 1));
  if (!path) return std::nullopt;
  return by_https(at == std::string_view::npos ? "" : before.substr(0, at), host, "", *path);
}

std::optional<SubmoduleUrl> of_web(std::string_view scheme, std::string_view rest) {
  const auto place = place_of(rest);
  if (!place || place->path.size() < 2) return std::nullopt;
  const std::string site = std::string(scheme) + place->host + std::string(place->port);
  const std::string path(place->path);
  const std::string user = place->user.empty() ? "" : std::string(place->user) + "@";
  return SubmoduleUrl{std::string(scheme) + user + place->host + std::string(place->port) + path,
                      site + path, site + "/", place->host, false};
}

std::optional<SubmoduleUrl> read_url(std::string_view url) {
  for (const std::string_view scheme : web_schemes)
    if (url.starts_with(scheme)) return of_web(scheme, url.substr(scheme.size()));
  for (const std::string_view scheme : ssh_schemes)
    if (url.starts_with(scheme)) return of_ssh(url.substr(scheme.size()));
  if (url.find("://") != std::string_view::npos) return std::nullopt;
  return of_scp_form(url);
}

/// @p url without what stands before an @, as a password may.
std::string without_user(std::string_view url) {
  const auto at = url.rfind('@');
  if (at == std::string_view::npos) return std::string(url);
  const auto scheme = url.find("://");
  return (scheme == std::string_view::npos ? "" : std::string(url.substr(0, scheme + 3))) + "..." +
         std::string(url.substr(at));
}

}  // namespace

bool is_relative_url(std::string_view url) {
  return url.starts_with("./") || url.starts_with("../") || url == "." || url == "..";
}

Result<SubmoduleUrl> parse_submodule_url(std::string_view url) {
  constexpr const char* forms = "https://HOST/PATH, http://HOST/PATH or git@HOST:PATH";
  if (url.size() > max_url_bytes)
    return Error(ErrorKind::invalid, "its url has more than " + std::to_string(max_url_bytes) +
                                         " bytes. Give it one of the form " + forms + ".");
  if (std::ranges::any_of(url, [](char c) {
        return static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) == 0x7F;
      }))
    return Error(ErrorKind::invalid,
                 "its url has a blank or a control character. Give it one of the form " +
                     std::string(forms) + ".");
  if (url.starts_with('-'))
    return Error(ErrorKind::invalid, "its url `" + without_user(url) +
                                         "` begins with a dash. Give it one of the form " + forms +
                                         ".");
  if (auto read = read_url(url)) return std::move(*read);
  return Error(ErrorKind::invalid,
               "its url `" + without_user(url) +
                   "` is none that a build can fetch from: it reaches hosts by HTTPS alone. Give "
                   "it one of the form " +
                   forms + ".");
}

Result<std::vector<std::string>> hosts_of_credentials(std::string_view credentials) {
  constexpr std::string_view blanks = " \t\r\n";
  std::vector<std::string> hosts;
  for (int number = 1;; ++number) {
    const auto begin = credentials.find_first_not_of(blanks);
    if (begin == std::string_view::npos) return hosts;
    credentials.remove_prefix(begin);
    std::string_view one = credentials.substr(0, credentials.find_first_of(blanks));
    credentials.remove_prefix(one.size());
    const auto* scheme = std::ranges::find_if(
        web_schemes, [&](std::string_view each) { return one.starts_with(each); });
    std::optional<Place> place;
    if (scheme != web_schemes.end()) place = place_of(one.substr(scheme->size()));
    const auto colon = place ? place->user.find(':') : std::string_view::npos;
    if (!place || colon == std::string_view::npos || colon == 0 ||
        colon + 1 == place->user.size() || place->path.size() > 1)
      return Error(
          ErrorKind::invalid,
          "number " + std::to_string(number) +
              " is not of the form https://USER:TOKEN@HOST, which gives access to all "
              "repositories of a host. Characters that URLs do not have are written as %40 "
              "for @, %3A for : and %2F for /.");
    hosts.push_back(place->host);
  }
}

}  // namespace karreg::builder
