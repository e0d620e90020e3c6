#pragma once
/// A process that the master has started, and its line to it.

#include <sys/types.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/descriptor.hpp"
#include "common/error.hpp"

namespace karreg::proxy {

struct Child {
  pid_t pid = 0;
  Descriptor line;
};

/// Starts @p program, found as a shell finds it, as @p command (argv), with @p inherited
/// descriptors open at the same numbers. It dies with this process. Error `internal` when the
/// system refuses.
Result<pid_t> start_process(const std::string& program, const std::vector<std::string>& command,
                            const std::vector<int>& inherited);
/// Becomes @p program; comes back, with an error of kind `internal`, only when that cannot be.
Error become(const std::string& program, const std::vector<std::string>& command);
/// Whether @p fd stays open in what this process becomes by exec.
void keep_on_exec(int fd, bool keep);

/// A message that came; empty: none. @p over is set when the other side is gone.
std::string take_message(const Descriptor& line, bool& over);
/// With @p descriptors, which are open on the other side, too, then. False: the other side is gone,
/// or takes nothing.
bool send_message(const Descriptor& line, std::string_view message,
                  std::span<const int> descriptors = {});

}  // namespace karreg::proxy
