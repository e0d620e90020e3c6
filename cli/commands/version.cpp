#include "cli/commands/commands.hpp"

namespace karreg::cli {

void add_version(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("version", "The version of this program");
  add_format_option(*command, session);
  command->callback([&session] {
    session.action = [&session]() -> Result<int> {
      if (!session.print_json({{"version", KARREG_VERSION}}))
        session.terminal().print(std::string("karreg ") + KARREG_VERSION);
      return 0;
    };
  });
}

}  // namespace karreg::cli
