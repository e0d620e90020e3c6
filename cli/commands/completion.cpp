#include "cli/completion.hpp"

#include "cli/commands/commands.hpp"

namespace karreg::cli {

void add_completion(CLI::App& app, Session& session) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "Print the completion script of a shell");
  command->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer("For bash: source <(karreg completion bash)");
  command->callback([&app, &session, shell] {
    session.action = [&app, &session, shell]() -> Result<int> {
      session.terminal().print(completion_script(command_tree(app), *shell));
      return 0;
    };
  });
}

// Hidden: docs/cli.md is made with it, and a test holds the two together.
void add_reference(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("reference", "Print every command's help as Markdown");
  command->group("");
  command->callback([&app, &session] {
    session.action = [&app, &session]() -> Result<int> {
      session.terminal().print(reference(app));
      return 0;
    };
  });
}

}  // namespace karreg::cli
