#include "cli/browser.hpp"

#include <algorithm>

#include "cli/child.hpp"

namespace karreg::cli {

std::string url_of(const App& app, const std::string& favourite) {
  if (app.domains.empty()) return "";
  const auto found = std::ranges::find(app.domains, favourite);
  const auto at = found == app.domains.end() ? 0 : found - app.domains.begin();
  if (app.urls.size() == app.domains.size()) return app.urls[static_cast<std::size_t>(at)];
  const std::string& domain = app.domains[static_cast<std::size_t>(at)];
  const std::string host = domain.substr(0, domain.find_first_of("/:"));
  const bool local = host == "localhost" || host.ends_with(".localhost");
  return (local ? "http://" : "https://") + domain;
}

bool open_browser(const std::string& url, const Environment& environment) {
  ChildOptions options;
  const std::string chosen = variable(environment, "BROWSER");
  options.argv = {chosen.empty() ? "xdg-open" : chosen, url};
  options.environment = environment;
  options.quiet = true;
  const auto end = run_child(options);
  return end && end->exit_code == 0;
}

}  // namespace karreg::cli
