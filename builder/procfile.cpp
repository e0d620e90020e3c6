#include "builder/procfile.hpp"

#include "builder/shell_line.hpp"

namespace karreg::builder {

Result<std::map<std::string, ProcfileLine>> parse_procfile(std::string_view text) {
  std::map<std::string, ProcfileLine> processes;
  int number = 0;
  while (!text.empty()) {
    ++number;
    const auto end = text.find('\n');
    const std::string line = trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.front() == '#') continue;

    const auto colon = line.find(':');
    const std::string name = trimmed(line.substr(0, colon));
    const bool named = colon != std::string::npos && !name.empty() &&
                       name.find_first_of(" \t\"'=/") == std::string::npos;
    if (!named)
      return Error(ErrorKind::invalid, "Procfile, line " + std::to_string(number) +
                                           ": expected `name: command`, for example "
                                           "`web: node server.js`.");
    const std::string command = trimmed(line.substr(colon + 1));
    if (command.empty())
      return Error(ErrorKind::invalid, "Procfile, line " + std::to_string(number) + ": `" + name +
                                           ":` has no command after it.");
    processes[name] = {command, number};
  }
  return processes;
}

}  // namespace karreg::builder
