#include "cli/commands/commands.hpp"

namespace karreg::cli {
namespace {

struct Options {
  AppChoice choice;
  bool yes = false;
};

Result<void> confirm(Session& session, const Target& target) {
  if (!session.terminal().interactive())
    return Error(ErrorKind::invalid,
                 "Deleting " + target.name + " cannot be undone: confirm it with --yes.");
  const std::string typed = session.terminal().ask(
      "This deletes " + target.name + " (" + target.id + ") for good. Type its name to confirm:");
  if (typed != target.name)
    return Error(ErrorKind::invalid, "The name was not typed, so nothing was deleted.");
  return ok();
}

Result<int> delete_app(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  if (!options.yes)
    if (auto confirmed = confirm(session, *target); !confirmed) return confirmed.error();
  auto api = session.api();
  if (!api) return api.error();
  if (auto deleted = (*api)->remove(target->path()); !deleted) return deleted.error();
  auto links = find_links(session.folder());
  if (!links) return links.error();
  if (std::erase_if(links->apps, [&](const LinkedApp& app) { return app.id == target->id; }) > 0)
    if (auto saved = save_links(*links); !saved) return saved.error();
  if (session.print_json({{"id", target->id}, {"deleted", true}})) return 0;
  session.terminal().note("Deleted " + target->name + ".");
  return 0;
}

}  // namespace

void add_delete(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("delete", "Delete an app for good");
  add_app_options(*command, options->choice);
  command->add_flag("-y,--yes", options->yes, "Do not ask");
  add_format_option(*command, session);
  when_chosen(*command, session, options, delete_app);
}

}  // namespace karreg::cli
