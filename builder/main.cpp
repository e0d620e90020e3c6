// karreg-builder: the daemon, and `explain` for people.
#include <iostream>
#include <string_view>

#include "builder/daemon.hpp"
#include "builder/explain.hpp"
#include "builder/options.hpp"
#include "common/async/run.hpp"
#include "common/program.hpp"
#include "common/wire/json.hpp"

namespace {

using namespace karreg;

Result<void> serve(const Config& config) {
  auto options = builder::options(config);
  if (!options) return options.error();
  block_signals();
  auto daemon = builder::Daemon::start(std::move(*options));
  if (!daemon) return daemon.error();
  const int signal_number = wait_for_signal();
  log::info("stopping", {log::field("signal", signal_number)});
  return ok();
}

struct Question {
  std::string where = ".";
  std::string format = "human";
  builder::AppSettings settings;
  std::vector<std::string> variables;
};

void declare(CLI::App& command, Question& question) {
  command.add_option("FOLDER", question.where,
                     "The app's folder, or a bare repository (default: .)");
  command.add_option("--type", question.settings.variant,
                     "node, python, static, cpp or auto (default: auto)");
  command.add_option("--env", question.variables,
                     "NAME=VALUE of the app's environment, repeatable");
  command.add_option("--format", question.format, "human (default) or json")
      ->check(CLI::IsMember({"human", "json"}));
}

Result<void> explain(Question& question) {
  for (const std::string& variable : question.variables) {
    const auto equals = variable.find('=');
    if (equals == std::string::npos || equals == 0)
      return Error(ErrorKind::invalid, "--env " + variable + ": give NAME=VALUE.");
    question.settings.env[variable.substr(0, equals)] = variable.substr(equals + 1);
  }
  auto plan = builder::explain(question.where, question.settings);
  if (!plan) return plan.error();
  std::cout << (question.format == "json" ? wire::to_text(*plan) + "\n" : builder::rendered(*plan));
  return ok();
}

/// Needs no settings, unlike the daemon.
int explain_main(int argc, char** argv) {
  CLI::App app("karreg-builder", "karreg-builder");
  Question question;
  declare(*app.add_subcommand("explain", "Print the build plan of a folder"), question);
  CLI11_PARSE(app, argc, argv);
  auto explained = explain(question);
  if (explained) return 0;
  std::cerr << "karreg-builder: " << explained.error().message() << '\n';
  return exit_code(explained.error().kind());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "explain") return explain_main(argc, argv);
  Program program("karreg-builder",
                  "Decides how commits become apps, and keeps what the build VMs make. "
                  "`karreg-builder explain FOLDER` prints the plan for a folder.",
                  builder::settings());
  return program.run(argc, argv, serve);
}
