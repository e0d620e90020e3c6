#pragma once
/// What the API offers beside the resources of Clever's: the web console and what it needs.

#include "api/endpoint.hpp"

namespace karreg::api::console {

/// Sign in and out, the console's settings.
void add_console(Routes& routes, const Services& services);

/// POST /console/cli_logins {cli_token}: the signed-in user accepts the login of a command line.
/// GET /v2/self/cli_tokens?cli_token=: the command line, which has no credentials yet, gets its
/// token pair, once; 404 until the login is accepted.
void add_cli_login(Routes& routes);

/// GET /v1/hosts: a list of {id, accelerator, accelerator_detail, memory_mb, vcpus, builds,
/// last_seen_ms, silent_ms}, for everybody who is signed in: how fast builds and boots can be
/// follows from it.
void add_hosts(Routes& routes);

/// The files of the built console, read once. Anything that is no file of it gets index.html under
/// /console/ and at /cli-oauth, where command lines send their users; else 404.
StreamEndpoint static_files(const std::string& folder);

}  // namespace karreg::api::console
