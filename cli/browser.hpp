#pragma once

#include <string>

#include "cli/profile.hpp"

namespace karreg::cli {

/// Address of a domain: http for names that only this machine resolves, https for all others.
std::string url_of(const std::string& domain);

/// Shows @p url in the user's browser ($BROWSER, else xdg-open). False when there is none.
bool open_browser(const std::string& url, const Environment& environment);

}  // namespace karreg::cli
