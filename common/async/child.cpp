#include "common/async/child.hpp"

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <memory>

#include "common/async/process.hpp"

namespace karreg {

using namespace std::chrono_literals;

namespace {

/// A chain has some kilobytes.
constexpr std::size_t max_line = 1UL << 20;
/// Of what it says of its troubles, kept.
constexpr std::size_t max_errors = 4096;
/// How soon a stop() is seen.
constexpr auto look_every = 50ms;

/// Filled by the coroutines while the loop runs.
struct Talk {
  explicit Talk(Process child) : process(std::move(child)) {}
  Process process;
  std::string errors;
  bool errors_read = false;
  std::optional<int> exit_code;
  std::optional<Error> failure;
};

awaitable<void> read_errors(Talk& talk) {
  std::array<char, 1024> piece{};
  for (;;) {
    const auto n = co_await talk.process.read_stderr(piece);
    if (n == 0) break;
    talk.errors.append(piece.data(), n);
    if (talk.errors.size() > max_errors) talk.errors.erase(0, talk.errors.size() - max_errors);
  }
  talk.errors_read = true;
}

awaitable<void> converse(Talk& talk, const std::string& input, const Child::Answer& answer) {
  // A child that does not listen says why when it ends.
  (void)co_await talk.process.write(input);
  std::string lines;
  std::array<char, 16'384> piece{};
  for (;;) {
    const auto n = co_await talk.process.read_stdout(piece);
    if (n == 0) break;
    lines.append(piece.data(), n);
    for (auto end = lines.find('\n'); end != std::string::npos; end = lines.find('\n')) {
      const auto line = lines.substr(0, end);
      lines.erase(0, end + 1);
      const auto said = answer(line);
      if (said)
        (void)co_await talk.process.write(*said);
      else
        talk.process.close_stdin();
    }
    if (lines.size() <= max_line) continue;
    talk.failure = Error(ErrorKind::too_large, "its output has a line without end");
    talk.process.kill(SIGKILL);
    break;
  }
  talk.exit_code = co_await talk.process.wait();
}

std::map<std::string, std::string> environment(const Child::Program& program) {
  auto env = program.env;
  env.emplace("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  for (const auto* name : {"https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"})
    if (const char* value = std::getenv(name)) env.emplace(name, value);
  return env;
}

}  // namespace

Result<Child::Ended> Child::run(const Program& program, const std::string& input,
                                const Answer& answer) {
  const auto until = std::chrono::steady_clock::now() + program.patience;
  asio::io_context io;
  auto process =
      Process::start(io.get_executor(), {program.argv, environment(program), "/", false});
  if (!process) return process.error();
  // Destroyed before the loop that it is bound to, after the coroutines, which the loop destroys.
  auto talk = std::make_shared<Talk>(std::move(*process));
  const auto keep = [talk](std::exception_ptr escaped) {
    if (escaped) std::rethrow_exception(escaped);
  };
  asio::co_spawn(io, read_errors(*talk), keep);
  asio::co_spawn(io, converse(*talk, input, answer), keep);
  while (!(talk->exit_code && talk->errors_read)) {
    if (stopping_) return Error(ErrorKind::unavailable, "this program stops");
    if (program.meanwhile)
      if (auto goes_on = program.meanwhile(); !goes_on) return goes_on.error();
    if (std::chrono::steady_clock::now() >= until)
      return Error(
          ErrorKind::timeout,
          "it took longer than " +
              std::to_string(std::chrono::ceil<std::chrono::seconds>(program.patience).count()) +
              " seconds");
    io.run_for(look_every);
  }
  if (talk->failure) return *talk->failure;
  return Ended{*talk->exit_code, talk->errors};
}

void Child::stop() {
  stopping_ = true;
}

}  // namespace karreg
