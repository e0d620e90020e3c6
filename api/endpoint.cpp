#include "api/endpoint.hpp"

#include "api/stores/users_store.hpp"
#include "common/async/offload.hpp"

namespace karreg::api {

namespace {
constexpr std::size_t max_body = 1024UL * 1024;

/// What authentication needs of a request, copied: it is used on another thread.
struct Proof {
  std::string authorization;
  std::string cookies;
  bool from_console = false;
  SignedRequest request;
};

Proof proof_of(const Services& services, const http::Request& request) {
  Proof proof;
  proof.authorization = request.headers.get("Authorization").value_or("");
  proof.cookies = request.headers.get("Cookie").value_or("");
  proof.from_console = request.headers.get("X-Karreg-Console").has_value();
  proof.request = {request.method, scheme_of(services.settings.public_url),
                   std::string(request.headers.get("Host").value_or("")), request.path,
                   request.query};
  return proof;
}

Result<Identity> identify(pqxx::work& work, const crypto::Vault& vault, const Proof& proof) {
  if (!proof.authorization.empty()) {
    auto credentials = parse_authorization(proof.authorization);
    if (!credentials) return credentials.error();
    return identify(work, vault, *credentials, proof.request);
  }
  const auto session = cookie(proof.cookies, "karreg_session");
  if (!session)
    return Error(ErrorKind::unauthorized,
                 "this needs credentials: an Authorization header, or sign in to the console");
  const bool reads = proof.request.method == "GET" || proof.request.method == "HEAD";
  if (!reads && !proof.from_console)
    return Error(ErrorKind::forbidden,
                 "a browser session may change things only from the console itself");
  return identify_session(work, *session);
}

awaitable<Result<Identity>> authenticate_proof(const Services& services, Proof proof) {
  auto work = [&]() -> Result<Identity> {
    return services.database.transact([&](pqxx::work& transaction) -> Result<Identity> {
      return identify(transaction, services.vault, proof);
    });
  };
  auto identity = co_await offload(services.pool, work);
  co_return identity;
}

awaitable<void> run_endpoint(const Services& services, const Routes::Route& route,
                             http::Request& request, http::ResponseWriter& writer,
                             const http::PathParameters& path) {
  auto body = co_await request.read_body(max_body);
  if (!body) {
    co_await writer.send(http::error_response(body.error()));
    co_return;
  }
  const Proof proof = proof_of(services, request);
  const http::Query query = request.query;
  auto work = [&]() -> Result<Answer> {
    return services.database.transact([&](pqxx::work& transaction) -> Result<Answer> {
      Call call{services, {}, path, query, *body};
      if (route.access == Access::user) {
        auto identity = identify(transaction, services.vault, proof);
        if (!identity) return identity.error();
        call.identity = *identity;
      }
      return route.endpoint(call, transaction);
    });
  };
  auto answer = co_await offload(services.pool, work);
  auto response = answer ? to_response(*answer) : http::error_response(answer.error());
  co_await writer.send(std::move(response));
}

}  // namespace

http::Response to_response(const Answer& answer) {
  http::Response response{answer.status, answer.headers, {}};
  if (answer.body.is_null()) {
    if (response.status == 200) response.status = 204;
    return response;
  }
  response.headers.set("Content-Type", "application/json");
  response.headers.set("Cache-Control", "no-store");
  response.body = answer.body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return response;
}

std::string scheme_of(const std::string& url) {
  return url.substr(0, url.find("://"));
}

Answer done(const std::string& message) {
  return {200, {{"id", 200}, {"message", message}, {"type", "success"}}, {}};
}

Answer problem(int status, int id, const std::string& message) {
  return {status, {{"id", id}, {"message", message}, {"type", "error"}}, {}};
}

void Routes::add(std::string method, const std::string& pattern, Endpoint endpoint, Access access) {
  router_.add(std::move(method), pattern);
  routes_.push_back({std::move(endpoint), {}, access});
}

void Routes::add_stream(std::string method, const std::string& pattern, StreamEndpoint endpoint) {
  router_.add(std::move(method), pattern);
  routes_.push_back({{}, std::move(endpoint), Access::anyone});
}

void Routes::add_owned(const std::string& method, const std::string& pattern,
                       const Endpoint& endpoint) {
  add(method, "/v2/self" + pattern, endpoint);
  add(method, "/v2/organisations/{ownerId}" + pattern, endpoint);
}

std::string owner_in(const Call& call) {
  const auto it = call.path.find("ownerId");
  return it == call.path.end() ? "self" : it->second;
}

Result<nlohmann::json> json_object(const std::string& body) {
  try {
    auto parsed = nlohmann::json::parse(body);
    if (parsed.is_object()) return parsed;
    return Error(ErrorKind::invalid,
                 std::string("the request body must be a JSON object, not ") + parsed.type_name());
  } catch (const nlohmann::json::parse_error& e) {
    return Error(ErrorKind::invalid,
                 std::string("the request body is not valid JSON: ") + e.what());
  }
}

awaitable<Result<Identity>> authenticate(const Services& services, const http::Request& request) {
  auto identity = co_await authenticate_proof(services, proof_of(services, request));
  co_return identity;
}

awaitable<Result<Identity>> authenticate(const Services& services, std::string authorization,
                                         SignedRequest request) {
  Proof proof{std::move(authorization), {}, false, std::move(request)};
  auto identity = co_await authenticate_proof(services, std::move(proof));
  co_return identity;
}

namespace {
awaitable<void> answer(const Services& services, const Routes& routes,
                       const StreamEndpoint& fallback, http::Request& request,
                       http::ResponseWriter& writer) {
  auto match = routes.router().find(request.method, request.path);
  if (!match) {
    const bool known = match.error() == http::Router::Miss::method_not_allowed;
    if (known)
      co_await writer.send(http::error_response(
          405, "the method " + request.method + " is not offered for " + request.path));
    else
      co_await fallback(request, writer, {});
    co_return;
  }
  const auto& route = routes.at(match->route);
  if (route.stream)
    co_await route.stream(request, writer, match->parameters);
  else
    co_await run_endpoint(services, route, request, writer, match->parameters);
}
}  // namespace

http::Handler make_handler(const Services& services, const Routes& routes,
                           StreamEndpoint fallback) {
  return [&services, &routes, fallback = std::move(fallback)](http::Request& request,
                                                              http::ResponseWriter& writer) {
    return answer(services, routes, fallback, request, writer);
  };
}

}  // namespace karreg::api
