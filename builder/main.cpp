// karreg-builder: the daemon; `images-in-use` for images/build prune; `explain` for people;
// `reference` for the documentation.
#include <algorithm>
#include <array>
#include <iostream>
#include <string_view>

#include "builder/builds_store.hpp"
#include "builder/daemon.hpp"
#include "builder/explain.hpp"
#include "builder/options.hpp"
#include "builder/plan_text.hpp"
#include "builder/reference.hpp"
#include "common/async/run.hpp"
#include "common/db/database.hpp"
#include "common/json.hpp"
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

/// Prints {"images_in_use": [DIGEST...]}: a text that is cut short, or empty because we failed, is
/// no such object, and images/build prune takes neither for "nothing".
Result<void> print_images_in_use(const Config& config) {
  db::Database database(config.text("database.url"), 1);
  auto digests = builder::BuildsStore(database).images_in_use();
  if (!digests) return digests.error();
  std::cout << nlohmann::json{{"images_in_use", *digests}}.dump() << std::endl;
  if (!std::cout) return Error(ErrorKind::internal, "the list of images could not be written");
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
                     "node, python, php ... or auto (default: auto)");
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
  if (!plan->problem.empty()) return Error(ErrorKind::invalid, plan->problem);
  return ok();
}

Result<void> write_docs(const std::string& folder) {
  auto changed = builder::write_reference(folder);
  if (!changed) return changed.error();
  std::cout << *changed << " pages changed\n";
  return ok();
}

/// They need no settings, unlike the daemon.
int tool_main(int argc, char** argv) {
  CLI::App app("karreg-builder", "karreg-builder");
  app.require_subcommand(1);
  Question question;
  CLI::App& explaining = *app.add_subcommand("explain", "Print the build plan of a folder");
  declare(explaining, question);
  std::string docs = "docs";
  app.add_subcommand("reference", "Write the parts of the documentation that come from the tables")
      ->add_option("FOLDER", docs, "The folder of the documentation (default: docs)");
  CLI11_PARSE(app, argc, argv);
  auto done = explaining.parsed() ? explain(question) : write_docs(docs);
  if (done) return 0;
  std::cerr << "karreg-builder: " << done.error().message() << '\n';
  return exit_code(done.error().kind());
}

constexpr std::array<std::string_view, 2> tools = {"explain", "reference"};

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::ranges::find(tools, argv[1]) != tools.end()) return tool_main(argc, argv);
  Program program("karreg-builder",
                  "Decides how commits become apps, and keeps what the build VMs make. "
                  "`karreg-builder explain FOLDER` prints the plan for a folder.",
                  builder::settings());
  const CLI::App& in_use = *program.cli().add_subcommand(
      "images-in-use",
      "Print the digests of the images that apps boot or may boot yet, as images/build prune "
      "reads them");
  return program.run(argc, argv, [&](const Config& config) {
    return in_use.parsed() ? print_images_in_use(config) : serve(config);
  });
}
