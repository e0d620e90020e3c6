#include "common/wire/routes.hpp"

namespace karreg::wire {

template <>
std::string to_text(const RouteSnapshot& value) {
  nlohmann::json rest = RouteSnapshot{value.version, {}, value.for_version, value.tcp_routes};
  rest.erase("routes");
  std::string text;
  write_long_list(rest, "routes", value.routes, [&](std::string_view part) { text += part; });
  return text;
}

template <>
Result<RouteSnapshot> from_text(std::string_view text, std::string_view what) {
  std::vector<Route> routes;
  auto rest = read_long_list(text, what, "routes", routes);
  if (!rest) return rest.error();
  auto snapshot = from_tree<RouteSnapshot>(*rest, what);
  if (snapshot) snapshot->routes = std::move(routes);
  return snapshot;
}

}  // namespace karreg::wire
