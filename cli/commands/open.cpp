#include "cli/browser.hpp"
#include "cli/commands/commands.hpp"

namespace karreg::cli {
namespace {

Result<int> open(Session& session, const AppChoice& choice) {
  auto target = session.target(choice);
  if (!target) return target.error();
  auto app = session.app(*target);
  if (!app) return app.error();
  auto api = session.api();
  if (!api) return api.error();
  auto best = (*api)->get(target->path() + "/vhosts/favourite");
  if (!best && best.error().kind() != ErrorKind::not_found) return best.error();
  const std::string url = url_of(*app, best && best->is_object() ? best->value("fqdn", "") : "");
  if (url.empty())
    return Error(ErrorKind::not_found, target->name +
                                           " has no domain. Give it one with `karreg "
                                           "domain add DOMAIN`.");
  if (session.print_json({{"url", url}})) return 0;
  session.terminal().print(url);
  if (session.terminal().interactive() && !open_browser(url, session.environment()))
    session.terminal().note("No browser could be started; open the address yourself.");
  return 0;
}

}  // namespace

void add_open(CLI::App& app, Session& session) {
  auto choice = std::make_shared<AppChoice>();
  CLI::App* command = app.add_subcommand("open", "Show an app in the browser");
  add_app_options(*command, *choice);
  add_format_option(*command, session);
  when_chosen(*command, session, choice, open);
}

}  // namespace karreg::cli
