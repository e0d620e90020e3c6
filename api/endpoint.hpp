#pragma once
/// How a resource's file declares what it answers.

#include <functional>
#include <string>
#include <vector>

#include "api/auth/credentials.hpp"
#include "api/core/model.hpp"
#include "api/services.hpp"
#include "common/http/router.hpp"
#include "common/http/server.hpp"
#include "common/json.hpp"

namespace karreg::api {

/// One authenticated request with its body read.
struct Call {
  const Services& services;
  Identity identity;
  http::PathParameters path;
  http::Query query;
  std::string body;

  const std::string& at(const std::string& name) const { return path.at(name); }
  std::optional<std::string> parameter(std::string_view name) const {
    for (const auto& [key, value] : query)
      if (key == name) return value;
    return std::nullopt;
  }
};

/// What is answered: a status and JSON (null: no body).
struct Answer {
  int status = 200;
  nlohmann::json body;
  http::Headers headers;
};

/// {"id":200,"message":...,"type":"success"}
Answer done(const std::string& message);
/// An error body whose id is not its status, for clients that look at the id.
Answer problem(int status, int id, const std::string& message);

/// Runs in a transaction on the pool: an error rolls back and is answered with its kind's status.
using Endpoint = std::function<Result<Answer>(const Call&, pqxx::work&)>;
/// Answers by itself, piece by piece.
using StreamEndpoint = std::function<awaitable<void>(http::Request&, http::ResponseWriter&,
                                                     const http::PathParameters&)>;

enum class Access { user, anyone };

/// The table of everything the API answers.
class Routes {
 public:
  void add(std::string method, const std::string& pattern, Endpoint endpoint,
           Access access = Access::user);
  void add_stream(std::string method, const std::string& pattern, StreamEndpoint endpoint);
  /// Adds @p pattern under both spellings of an owner's resources: /v2/self and
  /// /v2/organisations/{ownerId}.
  void add_owned(const std::string& method, const std::string& pattern, const Endpoint& endpoint);

  struct Route {
    Endpoint endpoint;
    StreamEndpoint stream;
    Access access = Access::user;
  };
  const http::Router& router() const { return router_; }
  const Route& at(std::size_t index) const { return routes_.at(index); }

 private:
  http::Router router_;
  std::vector<Route> routes_;
};

/// The owner that a path names; "self" where the path has none.
std::string owner_in(const Call& call);

/// The request's body as a JSON object. Error `invalid` with the parser's position.
Result<nlohmann::json> json_object(const std::string& body);
/// A field of @p object, of the right type; @p fallback when absent or null. Error `invalid` that
/// names the field.
template <class T>
Result<T> field(const nlohmann::json& object, const char* name, T fallback) {
  const auto it = object.find(name);
  if (it == object.end() || it->is_null()) return fallback;
  try {
    return it->get<T>();
  } catch (const nlohmann::json::out_of_range&) {
    return Error(ErrorKind::invalid,
                 std::string("the field \"") + name +
                     "\" of the request must be a whole number within bounds, not " + it->dump());
  } catch (const nlohmann::json::exception&) {
    return Error(ErrorKind::invalid,
                 std::string("the field \"") + name +
                     "\" of the request has the wrong type: " + it->type_name());
  }
}

/// Who sends @p request. Error `unauthorized`, or `forbidden` for a browser session without the
/// console's proof.
awaitable<Result<Identity>> authenticate(const Services& services, const http::Request& request);

/// The same for credentials that came otherwise than in a header, with what they sign.
awaitable<Result<Identity>> authenticate(const Services& services, std::string authorization,
                                         SignedRequest request);

/// The scheme of @p url: "https".
std::string scheme_of(const std::string& url);

http::Response to_response(const Answer& answer);

/// The handler of the HTTP server: routes, authenticates, runs, answers.
http::Handler make_handler(const Services& services, const Routes& routes, StreamEndpoint fallback);

}  // namespace karreg::api
