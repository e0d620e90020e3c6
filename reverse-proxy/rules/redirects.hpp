#pragma once
/// Which requests are sent elsewhere, and where. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/wire/rules.hpp"
#include "reverse-proxy/http1/target.hpp"

namespace karreg::proxy::rules {

struct Redirected {
  int status = 302;
  std::string location;
};

/// What the first of @p redirects that takes @p target makes of it. Paths are compared as they
/// came, without decoding.
std::optional<Redirected> redirect(const std::vector<wire::Redirect>& redirects,
                                   const http1::Target& target);

/// @p to with @p rest (begins with '/', or is empty) behind its path, and @p query (with its '?')
/// unless it has one. What a visitor has written never becomes a part of the host: between it and
/// the host stands a '/', and "//" or "/\" at the front of a path, which browsers take for another
/// site, become '/'.
std::string join_location(std::string_view to, std::string_view rest, std::string_view query);

}  // namespace karreg::proxy::rules
