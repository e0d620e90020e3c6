#include <chrono>
#include <map>
#include <ranges>
#include <thread>

#include "cli/commands/commands.hpp"
#include "cli/times.hpp"

namespace karreg::cli {
namespace {

struct Options {
  AppChoice choice;
  int limit = 10;
  bool follow = false;
};

Style style_of(const Deployment& deployment) {
  if (deployment.state == "OK") return Style::green;
  return deployment.state == "WIP" ? Style::yellow : Style::red;
}

std::vector<std::string> cells(const Deployment& each) {
  return {readable_time(each.date_ms), std::to_string(each.number), each.action,
          deployment_state(each),      each.commit.substr(0, 8),    each.cause};
}

Result<std::vector<Deployment>> load(const Api& api, const Target& target, int limit) {
  auto answer = api.get(target.path() + "/deployments" +
                        (limit > 0 ? "?limit=" + std::to_string(limit) : ""));
  if (!answer) return answer.error();
  return parse_deployments(*answer);
}

/// One line for each deployment that is new or changed since @p seen.
void show_changes(Session& session, const std::vector<Deployment>& newest_first,
                  std::map<std::string, std::string>& seen) {
  for (const Deployment& each : std::views::reverse(newest_first)) {
    auto [known, is_new] = seen.try_emplace(each.uuid, each.state);
    if (!is_new && known->second == each.state) continue;
    known->second = each.state;
    if (session.print_json(to_output(each))) continue;
    const auto columns = cells(each);
    session.terminal().print(columns[0] + "  " + columns[1] + "  " + columns[2] + "  " +
                             session.terminal().styled(columns[3], style_of(each)) + "  " +
                             columns[4] + "  " + columns[5]);
  }
}

/// Until Ctrl-C, or until the platform has not answered ten times in a row.
Result<int> follow(Session& session, const Api& api, const Target& target, int limit) {
  std::map<std::string, std::string> seen;
  for (int failures = 0;;) {
    auto deployments = load(api, target, limit);
    if (deployments) {
      failures = 0;
      show_changes(session, *deployments, seen);
    } else {
      const ErrorKind kind = deployments.error().kind();
      const bool passing = kind == ErrorKind::unavailable || kind == ErrorKind::timeout;
      if (!passing || ++failures == 10) return deployments.error();
    }
    std::this_thread::sleep_for(std::chrono::seconds(2));
  }
}

Result<int> activity(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  if (options.follow) return follow(session, **api, *target, options.limit);
  auto deployments = load(**api, *target, options.limit);
  if (!deployments) return deployments.error();
  Json all = Json::array();
  Table table({"TIME (UTC)", "NUMBER", "ACTION", "STATE", "COMMIT", "CAUSE"});
  for (const Deployment& each : *deployments) {
    all.push_back(to_output(each));
    table.row(cells(each));
  }
  if (session.print_json(all)) return 0;
  if (table.empty())
    session.terminal().note(target->name + " has no deployments yet. Run `karreg deploy`.");
  else
    table.print(session.terminal());
  return 0;
}

}  // namespace

void add_activity(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("activity", "The deployments of an app, newest first");
  add_app_options(*command, options->choice);
  command->add_option("-n,--limit", options->limit, "How many (default: 10; 0: all)")
      ->check(CLI::Range(0, 100'000))
      ->type_name("NUMBER");
  command->add_flag("-f,--follow", options->follow, "Go on and show what changes");
  add_format_option(*command, session);
  when_chosen(*command, session, options, activity);
}

}  // namespace karreg::cli
