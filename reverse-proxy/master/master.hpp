#pragma once
/// The process that the operator starts: it holds the listening sockets, starts the process that
/// serves and starts it again when it dies, and on SIGHUP becomes the program that lies on disk
/// now, which lets a new process take over from the one that serves (succession.hpp). Its pid and
/// its sockets stay. It parses nothing that a visitor sends.

#include <string>
#include <vector>

#include "reverse-proxy/settings.hpp"

namespace karreg::proxy {

/// Runs until SIGTERM or SIGINT, which it passes on. @p command: argv, to start the same again.
/// Gives the exit code of the serving process, 0 if it drained. Errors: `unavailable`, an address
/// is taken; `internal`, the system gives no descriptors or processes.
Result<int> run_master(const Settings& settings, std::vector<std::string> command);

}  // namespace karreg::proxy
