#pragma once

#include "api/endpoint.hpp"

namespace karreg::api::git {

/// Smart HTTP (gitprotocol-http(5)) under /git/<app_id>.git: authentication here, the protocol by
/// `git http-backend`.
void add_git(Routes& routes, const Services& services);

}  // namespace karreg::api::git
