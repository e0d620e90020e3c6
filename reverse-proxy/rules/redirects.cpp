#include "reverse-proxy/rules/redirects.hpp"

#include "reverse-proxy/route_table.hpp"

namespace karreg::proxy::rules {

namespace {
bool takes(const wire::Redirect& redirect, const http1::Target& target) {
  if (!redirect.host.empty() && redirect.host != target.host) return false;
  if (!redirect.path.empty()) return redirect.path == target.path;
  if (!redirect.prefix.empty()) return prefix_takes(redirect.prefix, target.path);
  return true;
}

/// What of @p path is appended.
std::string_view rest_of(const wire::Redirect& redirect, std::string_view path) {
  if (!redirect.keep_path || !redirect.path.empty()) return {};
  // "/old/" takes "/old", too: nothing is left of that.
  const auto known = redirect.prefix.empty() ? 0 : redirect.prefix.size() - 1;
  return path.substr(std::min(known, path.size()));
}
}  // namespace

std::string join_location(std::string_view to, std::string_view rest, std::string_view query) {
  const auto fragment_at = std::min(to.find('#'), to.size());
  const auto fragment = to.substr(fragment_at);
  const auto query_at = std::min(to.substr(0, fragment_at).find('?'), fragment_at);
  const auto own_query = to.substr(query_at, fragment_at - query_at);
  std::string location(to.substr(0, query_at));
  if (!rest.empty()) {
    while (location.ends_with('/')) location.pop_back();
    const bool path_only = location.empty();
    if (path_only)
      while (rest.size() > 1 && (rest[1] == '/' || rest[1] == '\\')) rest.remove_prefix(1);
    if (path_only && (rest.front() == '/' || rest.front() == '\\')) rest.remove_prefix(1);
    if (path_only || rest.front() != '/') location += '/';
    location += rest;
  }
  location += own_query.empty() ? query : own_query;
  location += fragment;
  return location;
}

std::optional<Redirected> redirect(const std::vector<wire::Redirect>& redirects,
                                   const http1::Target& target) {
  // "OPTIONS *" is about the site as a whole.
  if (target.path == "*") return std::nullopt;
  for (const auto& each : redirects) {
    if (!takes(each, target)) continue;
    const auto query =
        each.keep_query ? target.forward.substr(target.path.size()) : std::string_view();
    return Redirected{each.status, join_location(each.to, rest_of(each, target.path), query)};
  }
  return std::nullopt;
}

}  // namespace karreg::proxy::rules
