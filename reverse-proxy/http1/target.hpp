#pragma once
/// Which site and which path a request is for (RFC 9112 §3.2).

#include <string>

#include "reverse-proxy/http1/head.hpp"

namespace karreg::proxy::http1 {

struct Target {
  std::string host;            ///< lower case, no port, no trailing dot; what routes are found by
  std::string_view authority;  ///< host and port as the client wrote them
  std::string_view path;       ///< begins with '/', no query; "*" for OPTIONS *
  std::string_view forward;    ///< path and query in origin form, for the backend
};

/// Fills @p into (its string is reused). Refused: no host, two hosts, a host with characters that
/// no host has, CONNECT, a scheme other than http(s).
std::optional<Refusal> read_target(const RequestHead& head, Target& into);

/// Lower case, without port and trailing dot; nothing when it cannot be a host. @p into is reused.
bool normalise_host(std::string_view authority, std::string& into);

}  // namespace karreg::proxy::http1
