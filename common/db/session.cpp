#include "common/db/session.hpp"

#include <array>
#include <utility>

namespace karreg::db {

namespace {
/// libpq, "Parameter Key Words"; seconds, but for tcp_user_timeout (milliseconds). A silence is
/// noticed after 10 + 2 * 5 s, or when what was sent is not acknowledged for 20 s.
constexpr std::array<std::pair<const char*, const char*>, 5> timeouts = {{
    {"connect_timeout", "10"},
    {"keepalives_idle", "10"},
    {"keepalives_interval", "5"},
    {"keepalives_count", "2"},
    {"tcp_user_timeout", "20000"},
}};
}  // namespace

std::string with_timeouts(const std::string& url) {
  const bool is_uri = url.starts_with("postgresql://") || url.starts_with("postgres://");
  std::string ours;
  for (const auto& [name, value] : timeouts) {
    if (!ours.empty()) ours += is_uri ? '&' : ' ';
    ours += std::string(name) + '=' + value;
  }
  // Of two values of a parameter libpq takes the last: ours stand before the operator's.
  if (!is_uri) return ours + ' ' + url;
  const auto query = url.find('?');
  if (query == std::string::npos) return url + '?' + ours;
  return url.substr(0, query + 1) + ours + '&' + url.substr(query + 1);
}

}  // namespace karreg::db
