#include "cli/commands/commands.hpp"
#include "cli/times.hpp"

namespace karreg::cli {
namespace {

struct Seen {
  App app;
  std::vector<Instance> instances;
  std::optional<Deployment> last;
  std::string status;
};

Result<Seen> look(Session& session, const Target& target) {
  auto app = session.app(target);
  if (!app) return app.error();
  auto api = session.api();
  if (!api) return api.error();
  auto instances_answer = (*api)->get(target.path() + "/instances");
  if (!instances_answer) return instances_answer.error();
  auto instances = parse_instances(*instances_answer);
  if (!instances) return instances.error();
  auto deployments_answer = (*api)->get(target.path() + "/deployments?limit=1");
  if (!deployments_answer) return deployments_answer.error();
  auto deployments = parse_deployments(*deployments_answer);
  if (!deployments) return deployments.error();
  Seen seen{*app, *instances, std::nullopt, app_status(*app, *deployments, *instances)};
  if (!deployments->empty()) seen.last = deployments->front();
  return seen;
}

std::string range(const std::string& low, const std::string& high) {
  return low == high ? low : low + " to " + high;
}

Result<int> status(Session& session, const AppChoice& choice) {
  auto target = session.target(choice);
  if (!target) return target.error();
  auto seen = look(session, *target);
  if (!seen) return seen.error();
  if (session.json()) {
    Json all = to_output(seen->app);
    all["status"] = seen->status;
    all["instances"] = Json::array();
    for (const Instance& each : seen->instances) all["instances"].push_back(to_output(each));
    all["last_deployment"] = seen->last ? to_output(*seen->last) : Json();
    session.print_json(all);
    return 0;
  }
  Terminal& terminal = session.terminal();
  const App& app = seen->app;
  terminal.print(terminal.styled(app.name, Style::bold) + "  " +
                 terminal.styled(seen->status, seen->status.starts_with("running")
                                                   ? Style::green
                                                   : Style::yellow));
  terminal.print("  type       " + app.type);
  terminal.print("  id         " + app.id);
  if (!app.commit.empty()) terminal.print("  commit     " + app.commit.substr(0, 8));
  for (const std::string& each : app.urls.empty() ? app.domains : app.urls)
    terminal.print("  address    " + each);
  terminal.print("  scale      " +
                 range(std::to_string(app.min_instances), std::to_string(app.max_instances)) +
                 " x " + range(app.min_flavor, app.max_flavor));
  if (app.sleep_after_s > 0)
    terminal.print("  sleeps     after " + span_text(app.sleep_after_s) + " without a request");
  for (const Instance& each : seen->instances)
    terminal.print("  instance   " + std::to_string(each.number) + "  " + each.state + "  " +
                   each.flavor + "  " + each.commit.substr(0, 8) + "  " + each.id);
  if (seen->last)
    terminal.print("  deployed   " + std::to_string(seen->last->number) + "  " +
                   deployment_state(*seen->last) + ", " +
                   age(seen->last->date_ms, session.now_ms()));
  return 0;
}

}  // namespace

void add_status(CLI::App& app, Session& session) {
  auto choice = std::make_shared<AppChoice>();
  CLI::App* command = app.add_subcommand("status", "How an app is doing");
  add_app_options(*command, *choice);
  add_format_option(*command, session);
  when_chosen(*command, session, choice, status);
}

}  // namespace karreg::cli
