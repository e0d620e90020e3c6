#include "cli/commands/commands.hpp"
#include "cli/follow.hpp"
#include "cli/git.hpp"
#include "common/http/message.hpp"

namespace karreg::cli {
namespace {

struct Options {
  AppChoice choice;
  std::string commit;
  bool without_cache = false;
  bool detach = false;
};

std::string query_of(Session& session, const Options& options) {
  std::string query;
  if (!options.commit.empty()) {
    // Short ids and branches are known to the user's own repository, if this is it.
    auto full = commit_of(session.folder().string(), options.commit, session.environment());
    query = "?commit=" + http::percent_encode(full ? *full : options.commit);
  }
  if (options.without_cache) query += std::string(query.empty() ? "?" : "&") + "useCache=no";
  return query;
}

Result<int> restart(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  auto answer = (*api)->post(target->path() + "/instances" + query_of(session, options));
  if (!answer) return answer.error();
  const std::string deployment = answer->is_object() ? answer->value("deploymentId", "") : "";
  if (deployment.empty())
    return Error(ErrorKind::unavailable,
                 "The platform took the restart but named no deployment. Look with `karreg "
                 "activity`.");
  session.terminal().note("Restarting " + target->name + "...");
  if (!options.detach) return follow_deployment(session, *target, deployment);
  session.print_json({{"id", deployment}, {"state", "WIP"}});
  return 0;
}

}  // namespace

void add_restart(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("restart", "Deploy a commit again and watch it");
  add_app_options(*command, options->choice);
  command->add_option("--commit", options->commit, "The commit (default: the one in service)")
      ->type_name("COMMIT");
  command->add_flag("--without-cache", options->without_cache,
                    "Build again, even if this was built before");
  command->add_flag("-d,--detach", options->detach, "Return at once");
  add_format_option(*command, session);
  command->footer(
      "Exit code 1: the deployment failed or was cancelled. Ctrl-C leaves it going on.");
  when_chosen(*command, session, options, restart);
}

}  // namespace karreg::cli
