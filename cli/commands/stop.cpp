#include "cli/commands/commands.hpp"

namespace karreg::cli {
namespace {

Result<int> stop(Session& session, const AppChoice& choice) {
  auto target = session.target(choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  if (auto done = (*api)->remove(target->path() + "/instances"); !done) return done.error();
  if (session.print_json({{"id", target->id}, {"stopped", true}})) return 0;
  session.terminal().note("Stopping " + target->name + ". `karreg restart` starts it again.");
  return 0;
}

Result<int> cancel(Session& session, const AppChoice& choice) {
  auto target = session.target(choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  auto answer = (*api)->get(target->path() + "/deployments?limit=1");
  if (!answer) return answer.error();
  auto deployments = parse_deployments(*answer);
  if (!deployments) return deployments.error();
  if (deployments->empty() || deployments->front().state != "WIP")
    return Error(ErrorKind::conflict, "No deployment of " + target->name +
                                          " is in progress, so there is nothing to cancel.");
  const Deployment& open = deployments->front();
  if (auto done = (*api)->remove(target->path() + "/deployments/" + std::to_string(open.number) +
                                 "/instances");
      !done)
    return done.error();
  if (session.print_json({{"id", open.uuid}, {"cancel_requested", true}})) return 0;
  session.terminal().note("Cancelling deployment " + std::to_string(open.number) + " of " +
                          target->name + ".");
  return 0;
}

void add(CLI::App& app, Session& session, const char* name, const char* text,
         Result<int> (*run)(Session&, const AppChoice&)) {
  auto choice = std::make_shared<AppChoice>();
  CLI::App* command = app.add_subcommand(name, text);
  add_app_options(*command, *choice);
  add_format_option(*command, session);
  when_chosen(*command, session, choice, run);
}

}  // namespace

void add_stop(CLI::App& app, Session& session) {
  add(app, session, "stop", "Stop an app", stop);
}

void add_cancel_deploy(CLI::App& app, Session& session) {
  add(app, session, "cancel-deploy", "Cancel the deployment that is in progress", cancel);
}

}  // namespace karreg::cli
