#include "cli/run.hpp"

#include <algorithm>
#include <sstream>

#include "cli/commands/commands.hpp"
#include "common/suggest.hpp"

namespace karreg::cli {
namespace {

/// The sentence for the first word that is no command where one must stand; empty when all are.
std::string unknown_command(const CLI::App& root, const std::vector<std::string>& arguments) {
  const CLI::App* at = &root;
  std::string path = "karreg";
  for (const std::string& word : arguments) {
    if (word.starts_with('-')) continue;
    const auto commands = at->get_subcommands([](const CLI::App*) { return true; });
    if (commands.empty()) return "";
    const auto found = std::ranges::find_if(
        commands, [&](const CLI::App* each) { return each->get_name() == word; });
    if (found == commands.end()) {
      std::vector<std::string> names;
      for (const CLI::App* each : commands)
        if (!each->get_group().empty()) names.push_back(each->get_name());
      return "`" + path + "` has no command `" + word + "`." + did_you_mean(word, names) +
             " See `" + path + " --help`.";
    }
    at = *found;
    path += " " + word;
  }
  return "";
}

/// The sentence for an option that the command does not have; empty for other errors.
std::string unknown_option(const CLI::App& root, const CLI::ParseError& error) {
  if (dynamic_cast<const CLI::ExtrasError*>(&error) == nullptr) return "";
  const CLI::App* at = &root;
  std::string path = "karreg";
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    path += " " + at->get_name();
  }
  std::vector<std::string> known;
  for (const CLI::Option* option : at->get_options())
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  const auto extras = root.remaining(true);
  if (extras.empty()) return "";
  const std::string word = extras.front().substr(0, extras.front().find('='));
  return "`" + path + "` does not take `" + word + "`." +
         (word.starts_with("--") ? did_you_mean(word, known) : "") + " See `" + path + " --help`.";
}

int usage_error(Session& session, const CLI::App& root, const CLI::ParseError& error,
                const std::vector<std::string>& arguments) {
  std::string message = unknown_command(root, arguments);
  if (message.empty()) message = unknown_option(root, error);
  if (message.empty()) {
    message = error.what();
    if (!message.ends_with('.')) message += '.';
    message += " See `karreg";
    const CLI::App* at = &root;
    while (!at->get_subcommands().empty()) {
      at = at->get_subcommands().front();
      message += " " + at->get_name();
    }
    message += " --help`.";
  }
  session.terminal().fail(message);
  return exit_code(ErrorKind::invalid);
}

}  // namespace

int run(Session& session, const std::vector<std::string>& arguments) {
  CLI::App app{"Karreg: git push, and the app runs.", "karreg"};
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.get_formatter()->column_width(32);
  add_commands(app, session);
  app.footer(
      "The platform and the login come from `karreg login`, or from KARREG_API_HOST, KARREG_TOKEN "
      "and\n"
      "KARREG_SECRET. Results go to stdout, everything else to stderr. Exit codes: docs/cli.md.");
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp& help) {
    std::ostringstream out;
    std::ostringstream err;
    app.exit(help, out, err);
    std::string text = out.str();
    if (text.ends_with('\n')) text.pop_back();
    session.terminal().print(text);
    return 0;
  } catch (const CLI::ParseError& error) {
    return usage_error(session, app, error, arguments);
  }
  auto done = session.action();
  if (done) return *done;
  session.terminal().fail(done.error().message());
  return exit_code(done.error().kind());
}

}  // namespace karreg::cli
