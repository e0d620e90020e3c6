#include <fmt/format.h>

#include <charconv>

#include "api/clever/resources.hpp"
#include "api/stores/apps_store.hpp"
#include "api/stores/tcp_redirections_store.hpp"
#include "api/stores/users_store.hpp"

namespace karreg::api::clever {

using nlohmann::json;

namespace {
/// All proxies of the platform: there is no other group of them.
constexpr const char* all_proxies = "default";

Result<void> check_namespace(const std::string& name) {
  if (name == all_proxies) return ok();
  return Error(ErrorKind::invalid,
               fmt::format("there is no namespace \"{}\": use \"{}\"", name, all_proxies));
}

json redirection(std::uint16_t port) {
  return {{"namespace", all_proxies}, {"port", port}};
}

Result<Answer> namespaces(const Call& call, pqxx::work& work) {
  auto org = resolve_owner(work, call.identity, owner_in(call));
  if (!org) return org.error();
  json all = json::array();
  if (!call.services.settings.tcp.ports.empty()) all.push_back({{"namespace", all_proxies}});
  return Answer{200, all, {}};
}

Result<Answer> list(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  json all = json::array();
  for (const auto port : list_tcp_redirections(work, app->id)) all.push_back(redirection(port));
  return Answer{200, all, {}};
}

Result<Answer> add(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto body = json_object(call.body);
  if (!body) return body.error();
  auto name = field<std::string>(*body, "namespace", all_proxies);
  if (!name) return name.error();
  auto known = check_namespace(*name);
  if (!known) return known.error();
  auto port = add_tcp_redirection(work, *app, call.services.settings.tcp);
  if (!port) return port.error();
  return Answer{200, redirection(*port), {}};
}

Result<Answer> remove(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto known = check_namespace(call.parameter("namespace").value_or(all_proxies));
  if (!known) return known.error();
  const auto& text = call.at("port");
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size())
    return Error(ErrorKind::invalid, "\"" + text + "\" is not a port");
  auto removed = remove_tcp_redirection(work, *app, port);
  if (!removed) return removed.error();
  return done(fmt::format("The port {} leads to the application no longer", port));
}

}  // namespace

void add_tcp_redirections(Routes& routes) {
  routes.add_owned("GET", "/namespaces", namespaces);
  routes.add_owned("GET", "/applications/{appId}/tcpRedirs", list);
  routes.add_owned("POST", "/applications/{appId}/tcpRedirs", add);
  routes.add_owned("DELETE", "/applications/{appId}/tcpRedirs/{port}", remove);
}

}  // namespace karreg::api::clever
