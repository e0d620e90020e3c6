#pragma once
/// What only the web console and the browser login of command lines use.

#include "api/endpoint.hpp"

namespace karreg::api::console {

/// Sign in and out, the console's settings.
void add_console(Routes& routes);

/// The files of the built console, read once. Anything that is no file of it gets index.html under
/// /console/, else 404.
StreamEndpoint static_files(const std::string& folder);

}  // namespace karreg::api::console
