// karreg-builder: the daemon, and `explain` for people.
#include <CLI/CLI.hpp>
#include <iostream>

#include "builder/daemon.hpp"
#include "builder/explain.hpp"
#include "builder/options.hpp"
#include "common/async/run.hpp"
#include "common/log.hpp"
#include "common/wire/json.hpp"

namespace {

using namespace karreg;

int failed(const Error& error) {
  std::cerr << "karreg-builder: " << error.message() << '\n';
  return exit_code(error.kind());
}

int serve(const std::string& config_file) {
  auto config = Config::load(builder::settings(), config_file, Config::process_environment());
  if (!config) return failed(config.error());
  auto options = builder::options(*config);
  if (!options) return failed(options.error());
  log::start("karreg-builder", config->text("log.level"));
  block_signals();
  auto daemon = builder::Daemon::start(std::move(*options));
  if (!daemon) return failed(daemon.error());
  const int signal_number = wait_for_signal();
  log::info("stopping", {log::field("signal", signal_number)});
  return 0;
}

int explain(const std::string& where, const builder::AppSettings& settings,
            const std::string& format) {
  auto plan = builder::explain(where, settings);
  if (!plan) return failed(plan.error());
  std::cout << (format == "json" ? wire::to_text(*plan) + "\n" : builder::rendered(*plan));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Decides how commits become apps, and keeps what the build VMs make."};
  std::string config_file;
  app.add_option("--config", config_file, "Settings (TOML); KARREG_<SECTION>_<KEY> wins over it");

  CLI::App* explaining = app.add_subcommand("explain", "Print the build plan of a folder");
  std::string where = ".";
  std::string format = "human";
  builder::AppSettings settings;
  std::vector<std::string> variables;
  explaining->add_option("FOLDER", where, "The app's folder, or a bare repository")
      ->capture_default_str();
  explaining->add_option("--type", settings.variant, "node, python, static, cpp or auto")
      ->capture_default_str();
  explaining->add_option("--env", variables, "NAME=VALUE of the app's environment, repeatable");
  explaining->add_option("--format", format, "human or json")
      ->check(CLI::IsMember({"human", "json"}))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  for (const std::string& variable : variables) {
    const auto equals = variable.find('=');
    if (equals == std::string::npos || equals == 0)
      return failed({ErrorKind::invalid, "--env " + variable + ": give NAME=VALUE."});
    settings.env[variable.substr(0, equals)] = variable.substr(equals + 1);
  }
  return *explaining ? explain(where, settings, format) : serve(config_file);
}
