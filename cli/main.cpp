// karreg: the command line.
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <iostream>

#include "cli/git.hpp"
#include "cli/run.hpp"
#include "common/clock.hpp"

int main(int argc, char** argv) {
  using namespace karreg;
  std::signal(SIGPIPE, SIG_DFL);
  const cli::Environment environment = cli::process_environment();
  // git starts this program to ask for name and password (cli/git.hpp).
  if (argc == 2)
    if (const auto answer = cli::askpass_answer(environment, argv[1])) {
      std::cout << *answer << '\n';
      return 0;
    }
  cli::Terminal terminal({std::cout, std::cerr,
                          cli::wants_colour(isatty(STDOUT_FILENO) == 1, environment),
                          cli::wants_colour(isatty(STDERR_FILENO) == 1, environment),
                          isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1});
  try {
    cli::Session session(terminal, environment, std::filesystem::current_path(), unix_ms);
    return cli::run(session, {argv + 1, argv + argc});
  } catch (const std::exception& e) {
    terminal.fail(std::string("something is wrong in karreg itself: ") + e.what());
    return exit_code(ErrorKind::internal);
  }
}
