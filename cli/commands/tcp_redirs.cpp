#include "cli/commands/commands.hpp"
#include "common/http/message.hpp"

namespace karreg::cli {
namespace {

struct Options {
  AppChoice choice;
  std::string name_space = "default";
  int port = 0;
};

Result<int> list(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  auto all = (*api)->get(target->path() + "/tcpRedirs");
  if (!all) return all.error();
  if (session.print_json(*all)) return 0;
  for (const Json& each : *all)
    session.terminal().print(std::to_string(each.value("port", 0)) + "  (" +
                             each.value("namespace", "") + ")");
  if (all->empty()) session.terminal().note(target->name + " has no TCP redirection.");
  return 0;
}

Result<int> list_namespaces(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  auto all = (*api)->get("/v2/organisations/" + target->owner + "/namespaces");
  if (!all) return all.error();
  if (session.print_json(*all)) return 0;
  for (const Json& each : *all) session.terminal().print(each.value("namespace", ""));
  if (all->empty()) session.terminal().note("This platform has no TCP redirections.");
  return 0;
}

Result<int> add(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  auto added =
      (*api)->post(target->path() + "/tcpRedirs", Json({{"namespace", options.name_space}}));
  if (!added) return added.error();
  if (session.print_json(*added)) return 0;
  const auto port = std::to_string(added->value("port", 0));
  session.terminal().print(port);
  session.terminal().note("Connections to port " + port + " of the platform reach port 4040 of " +
                          target->name + "'s instances.");
  return 0;
}

Result<int> remove(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  const auto port = std::to_string(options.port);
  auto done = (*api)->remove(target->path() + "/tcpRedirs/" + port +
                             "?namespace=" + http::percent_encode(options.name_space));
  if (!done) return done.error();
  if (session.print_json({{"namespace", options.name_space}, {"port", options.port}})) return 0;
  session.terminal().note("Port " + port + " no longer leads to " + target->name + ".");
  return 0;
}

}  // namespace

void add_tcp_redirs(CLI::App& app, Session& session) {
  CLI::App* group = app.add_subcommand(
      "tcp-redirs",
      "Public ports whose connections (and UDP datagrams) reach an app's instances, at port 4040");
  group->require_subcommand(1);
  auto options = std::make_shared<Options>();
  const char* name_space = "The group of proxies";
  add_app_command(*group, session, "list", "Show the ports", options, list);
  add_app_command(*group, session, "list-namespaces", "Show where ports can be had", options,
                  list_namespaces);
  add_app_command(*group, session, "add", "Get a port", options, add)
      ->add_option("--namespace", options->name_space, name_space)
      ->capture_default_str();
  CLI::App* removing =
      add_app_command(*group, session, "remove", "Give a port back", options, remove);
  removing->add_option("PORT", options->port, "The port")->required()->check(CLI::Range(1, 65'535));
  removing->add_option("--namespace", options->name_space, name_space)->capture_default_str();
}

}  // namespace karreg::cli
