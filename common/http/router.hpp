#pragma once
/// Which handler answers which method and path. Patterns are written out in full, so that a search
/// for a path finds its handler.

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/message.hpp"

namespace karreg::http {

/// Percent-decoded segments by the name in the pattern.
using PathParameters = std::map<std::string, std::string>;

/// Maps (method, pattern) to an index. "/v2/apps/{appId}" matches one non-empty segment there; a
/// last segment "{rest*}" matches the rest with its slashes. Literal segments win over parameters.
class Router {
 public:
  struct Match {
    std::size_t route = 0;
    PathParameters parameters;
  };
  enum class Miss { no_such_path, method_not_allowed };

  /// Returns the route's index, counted from 0 in order of calls.
  std::size_t add(std::string method, std::string_view pattern);
  /// The best match, or why there is none. HEAD is answered by GET routes.
  std::expected<Match, Miss> find(std::string_view method, std::string_view path) const;

 private:
  struct Route {
    std::string method;
    std::vector<std::string> segments;
  };
  std::vector<Route> routes_;
};

}  // namespace karreg::http
