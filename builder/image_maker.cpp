#include "builder/image_maker.hpp"

#include <fmt/format.h>

#include <chrono>

namespace karreg::builder {

using namespace std::chrono_literals;

namespace {
/// Of images/build: packages that are asked for are not in Debian, or too large together.
constexpr int no_such_packages = 5;

/// Packages are fetched, unpacked and packed: a minute or two, more on a slow line.
constexpr auto patience = 30min;

/// What images/build is called with after its name.
std::vector<std::string> arguments_for(const WantedImage& wanted) {
  std::vector<std::string> arguments = {"add", wanted.runtime};
  if (!wanted.packages.empty())
    arguments.push_back(fmt::format("--packages={}", fmt::join(wanted.packages, ",")));
  if (!wanted.build_packages.empty())
    arguments.push_back(fmt::format("--build-packages={}", fmt::join(wanted.build_packages, ",")));
  return arguments;
}

}  // namespace

Result<void> ImageMaker::make(const WantedImage& wanted,
                              const std::function<void(const std::string&)>& say,
                              const KeepAlive& alive) {
  const auto arguments = arguments_for(wanted);
  const bool plain = wanted.packages.empty() && wanted.build_packages.empty();
  const std::string name = wanted.runtime + (plain ? "" : " with these packages of Debian");
  if (command_.empty())
    return Error(ErrorKind::internal,
                 fmt::format("The platform has no image for {} yet. Its operator has to make it: "
                             "images/build {}; or let builders do it (images.command).",
                             name, fmt::join(arguments, " ")));
  std::unique_lock turn(one_at_a_time_, std::defer_lock);
  while (!turn.try_lock_for(1s))
    if (auto still = alive(); !still) return still.error();
  say(fmt::format(
      "This is the first app here that needs {}: its image is being made, which takes a "
      "few minutes, once.",
      name));
  std::string last;
  // Progress and troubles are on its standard error.
  std::vector<std::string> command = {"/bin/sh", "-c", "exec \"$@\" 2>&1", "sh", command_.string()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  command.insert(command.end(), {"--out", images_.string()});
  const Child::Program program{std::move(command), {}, patience, alive};
  const auto ended = child_.run(program, "", [&](const std::string& line) {
    last = line;
    say(line);
    return std::optional<std::string>("");
  });
  if (!ended && ended.error().kind() != ErrorKind::timeout) return ended.error();
  if (ended && ended->exit_code == 0) return ok();
  if (ended && ended->exit_code == no_such_packages) return Error(ErrorKind::invalid, last);
  return Error(ErrorKind::internal,
               fmt::format("The image for {} could not be made: {}. Tell the platform's operator.",
                           name, ended ? last : ended.error().message()));
}

}  // namespace karreg::builder
