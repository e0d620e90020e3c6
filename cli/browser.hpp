#pragma once

#include <string>

#include "cli/model.hpp"
#include "cli/profile.hpp"

namespace karreg::cli {

/// Address of the domain @p favourite of @p app, or of its first one when that is empty: as the
/// platform says it, else http for names that only this machine resolves and https for all others.
/// Empty when the app has no domain.
std::string url_of(const App& app, const std::string& favourite);

/// Shows @p url in the user's browser ($BROWSER, else xdg-open). False when there is none.
bool open_browser(const std::string& url, const Environment& environment);

}  // namespace karreg::cli
