#include "builder/image_maker.hpp"

#include <fmt/format.h>

#include <chrono>

namespace karreg::builder {

using namespace std::chrono_literals;

namespace {
/// Packages are fetched, unpacked and packed: a minute or two, more on a slow line.
constexpr auto patience = 30min;
}  // namespace

Result<void> ImageMaker::make(const std::string& runtime,
                              const std::function<void(const std::string&)>& say,
                              const KeepAlive& alive) {
  if (command_.empty())
    return Error(ErrorKind::internal,
                 fmt::format("The platform has no image for {0} yet. Its operator has to make it: "
                             "images/build add {0}; or let builders do it (images.command).",
                             runtime));
  std::unique_lock turn(one_at_a_time_, std::defer_lock);
  while (!turn.try_lock_for(1s))
    if (auto still = alive(); !still) return still.error();
  say(fmt::format(
      "This is the first app here that needs {}: its image is being made, which takes a "
      "few minutes, once.",
      runtime));
  std::string last;
  // Progress and troubles are on its standard error.
  const Child::Program program{{"/bin/sh", "-c", "exec \"$@\" 2>&1", "sh", command_.string(), "add",
                                runtime, "--out", images_.string()},
                               {},
                               patience,
                               alive};
  const auto ended = child_.run(program, "", [&](const std::string& line) {
    last = line;
    say(line);
    return std::optional<std::string>("");
  });
  if (!ended && ended.error().kind() != ErrorKind::timeout) return ended.error();
  if (ended && ended->exit_code == 0) return ok();
  return Error(ErrorKind::internal,
               fmt::format("The image for {} could not be made: {}. Tell the platform's operator.",
                           runtime, ended ? last : ended.error().message()));
}

}  // namespace karreg::builder
