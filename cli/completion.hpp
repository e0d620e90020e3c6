#pragma once
/// What the command tree says about itself: completion scripts and the reference.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace karreg::cli {

/// A command as completion sees it.
struct CommandNode {
  std::string name;
  std::string text;
  std::vector<std::string> options;  ///< "--app", "-a"
  std::vector<CommandNode> commands;
};

/// The visible commands below @p app.
CommandNode command_tree(const CLI::App& app);

/// A script for @p shell (bash, zsh, fish) that completes commands and options of @p root.
std::string completion_script(const CommandNode& root, const std::string& shell);

/// Markdown: a heading and the help of every visible command below @p app.
std::string reference(CLI::App& app);

}  // namespace karreg::cli
