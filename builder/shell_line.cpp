#include "builder/shell_line.hpp"

#include <array>

namespace karreg::builder {
namespace {

/// Words that the shell itself knows: they cannot follow `exec`.
constexpr std::array<std::string_view, 16> shell_words = {
    "exec", "cd",   "if",     "while", "for",    "case", "until", "export",
    "set",  "eval", "source", ".",     "ulimit", "trap", "{",     "!"};

/// Whether @p line is one command without lists, pipes, redirections of groups or assignments.
bool is_one_command(std::string_view line) {
  if (line.find_first_of(";&|()`\n#") != std::string_view::npos) return false;
  const std::string_view first = line.substr(0, line.find_first_of(" \t"));
  if (first.find('=') != std::string_view::npos) return false;
  for (const std::string_view word : shell_words)
    if (first == word) return false;
  return true;
}

}  // namespace

std::string trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(blanks) - first + 1));
}

std::vector<std::string> shell_argv(std::string_view line) {
  const std::string command = trimmed(line);
  return {"/bin/sh", "-c", is_one_command(command) ? "exec " + command : command};
}

}  // namespace karreg::builder
