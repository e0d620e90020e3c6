#include "builder/folder_tree.hpp"
#include "builder/inspect.hpp"
#include "builder/plan_text.hpp"
#include "cli/commands/commands.hpp"
#include "common/wire/json.hpp"

namespace karreg::cli {
namespace {

struct Options {
  std::string folder = ".";
  std::string type = "auto";
  std::vector<std::string> variables;
  bool explain = false;
};

/// Without the last line's end, which print() adds.
std::string lines_of(const wire::BuildPlan& plan) {
  std::string text = builder::rendered(plan);
  text.pop_back();
  return text;
}

Result<int> build(Session& session, const Options& options) {
  if (!options.explain)
    return Error(ErrorKind::invalid,
                 "Apps are built on the platform, in a virtual machine of their own, when they are "
                 "pushed (`karreg deploy`). `karreg build --explain` prints what would be done.");
  builder::AppSettings settings;
  settings.variant = options.type;
  for (const std::string& each : options.variables) {
    const auto equals = each.find('=');
    if (equals == std::string::npos || equals == 0)
      return Error(ErrorKind::invalid, "--env " + each + ": give NAME=VALUE.");
    settings.env[each.substr(0, equals)] = each.substr(equals + 1);
  }
  const builder::FolderTree tree(session.folder() / options.folder);
  if (tree.kind("") != builder::EntryKind::folder && tree.kind("") != builder::EntryKind::link)
    return Error(ErrorKind::not_found, options.folder + " is not a folder.");
  auto plan = builder::inspect(tree, settings);
  if (!plan) return plan.error();
  if (!session.print_json(Json(*plan))) session.terminal().print(lines_of(*plan));
  // The whole plan is on stdout; scripts see by the exit code that it cannot be carried out.
  if (!plan->problem.empty()) return exit_code(ErrorKind::invalid);
  return 0;
}

}  // namespace

void add_build(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "build", "Explain how a folder would be built and started, without a platform");
  command->add_option("FOLDER", options->folder, "The folder (default: .)");
  command->add_flag("--explain", options->explain,
                    "Print the plan, its reasons and the alternatives");
  command->add_option("-t,--type", options->type, "node, python, php ... (default: auto)");
  command
      ->add_option("--env", options->variables, "NAME=VALUE of the app's environment, repeatable")
      ->expected(1)
      ->allow_extra_args(false);
  add_format_option(*command, session);
  when_chosen(*command, session, options, build);
}

}  // namespace karreg::cli
