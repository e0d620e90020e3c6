#pragma once
/// What every daemon's main() does the same way: --config, --help with the settings, --version,
/// errors and exit codes. Include it in main.cpp only (it pulls in CLI11).

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "common/config.hpp"
#include "common/log.hpp"

namespace karreg {

inline constexpr const char* version = "0.1.0";

class Program {
 public:
  Program(std::string name, std::string purpose, std::vector<Setting> settings)
      : name_(std::move(name)), settings_(std::move(settings)), cli_(std::move(purpose), name_) {
    cli_.add_option("--config", config_file_, "Configuration file (TOML)");
    cli_.set_version_flag("--version", std::string("karreg ") + version);
    cli_.fallthrough();  // --config may stand after a subcommand
    cli_.footer([this] { return settings_text(); });
  }

  CLI::App& cli() { return cli_; }

  /// Parses, loads the settings, starts the log, runs @p body. Returns the exit code: 0, the one of
  /// the error's kind, or 70 for an exception.
  int run(int argc, char** argv, const std::function<Result<void>(const Config&)>& body) {
    try {
      cli_.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
      const int code = cli_.exit(e);
      return code == 0 ? 0 : exit_code(ErrorKind::invalid);
    }
    auto config = Config::load(settings_, config_file_, Config::process_environment());
    if (!config) return fail(config.error());
    log::start(name_, config->text("log.level"));
    try {
      auto done = body(*config);
      return done ? 0 : fail(done.error());
    } catch (const std::exception& e) {
      return fail(Error(ErrorKind::internal, e.what()));
    }
  }

 private:
  int fail(const Error& error) {
    std::fprintf(stderr, "%s: %s\n", name_.c_str(), error.message().c_str());
    return exit_code(error.kind());
  }

  std::string settings_text() const {
    std::string text = "\nSettings (file: [section] key; environment: KARREG_SECTION_KEY):\n";
    for (const auto& s : settings_) {
      text += "  " + s.name + "\n      " + s.text;
      text += s.required ? " (required)\n" : " (default: \"" + s.default_value + "\")\n";
    }
    return text;
  }

  std::string name_;
  std::vector<Setting> settings_;
  std::string config_file_;
  CLI::App cli_;
};

}  // namespace karreg
