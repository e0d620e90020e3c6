#include "cli/link.hpp"

#include "cli/commands/commands.hpp"

namespace karreg::cli {
namespace {

struct Options {
  std::string app;
  std::string alias;
};

Result<int> link(Session& session, const Options& options) {
  auto target = session.target({options.app, ""});
  if (!target) return target.error();
  auto app = session.app(*target);
  if (!app) return app.error();
  auto links = find_links(session.folder());
  if (!links) return links.error();
  const std::string alias = options.alias.empty() ? app->name : options.alias;
  if (auto added = add_link(*links, {alias, app->id, target->owner, app->name, app->git_url});
      !added)
    return added.error();
  if (auto saved = save_links(*links); !saved) return saved.error();
  if (session.print_json({{"alias", alias}, {"app_id", app->id}, {"file", links->file.string()}}))
    return 0;
  session.terminal().note("Linked " + app->name + " as `" + alias + "` in " + links->file.string() +
                          ".");
  return 0;
}

Result<int> unlink(Session& session, const Options& options) {
  auto links = find_links(session.folder());
  if (!links) return links.error();
  auto removed = remove_link(*links, options.alias);
  if (!removed) return removed.error();
  if (auto saved = save_links(*links); !saved) return saved.error();
  if (session.print_json({{"alias", removed->alias}, {"app_id", removed->id}})) return 0;
  session.terminal().note("Unlinked " + removed->name + " (`" + removed->alias +
                          "`). The app itself goes on.");
  return 0;
}

}  // namespace

void add_link(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("link", "Link an app to this folder");
  command->add_option("APP", options->app, "The app, by id or name")->required();
  command->add_option("-a,--alias", options->alias, "Its alias here (default: its name)")
      ->type_name("ALIAS");
  add_format_option(*command, session);
  when_chosen(*command, session, options, link);
}

void add_unlink(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("unlink", "Unlink an app from this folder");
  command->add_option("ALIAS", options->alias, "Its alias (needed when several are linked)");
  add_format_option(*command, session);
  when_chosen(*command, session, options, unlink);
}

}  // namespace karreg::cli
