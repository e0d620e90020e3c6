#include "cli/commands/commands.hpp"

namespace karreg::cli {
namespace {

Result<int> list(Session& session) {
  auto api = session.api();
  if (!api) return api.error();
  auto answer = (*api)->get("/v2/summary");
  if (!answer) return answer.error();
  auto summary = parse_summary(*answer);
  if (!summary) return summary.error();

  Json all = Json::array();
  Table table({"NAME", "TYPE", "STATE", "ADDRESS", "ORGANISATION", "ID"});
  for (const auto& organisation : summary->organisations) {
    auto listed = (*api)->get("/v2/organisations/" + organisation.id + "/applications");
    if (!listed) return listed.error();
    auto apps = parse_apps(*listed);
    if (!apps) return apps.error();
    for (const App& each : *apps) {
      all.push_back(to_output(each));
      table.row({each.name, each.type, each.state == "SHOULD_BE_DOWN" ? "stopped" : "started",
                 address(each).empty() ? "-" : address(each), organisation.name, each.id});
    }
  }
  if (session.print_json(all)) return 0;
  if (table.empty())
    session.terminal().note("You have no apps. Create one: karreg create NAME");
  else
    table.print(session.terminal());
  return 0;
}

}  // namespace

void add_list(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("list", "List your apps");
  add_format_option(*command, session);
  command->callback([&session] { session.action = [&session] { return list(session); }; });
}

}  // namespace karreg::cli
