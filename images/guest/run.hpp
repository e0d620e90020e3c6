#pragma once

#include "images/guest/supervisor.hpp"

namespace karreg::guest {

/// The life of a run VM: pre-run hook, the app until it ends and its workers beside it. Returns
/// what to tell the agent.
wire::guest::Exit run_app(Supervisor& supervisor, const wire::guest::Config& config);

/// Environment of tenants' processes: the configured one over the usual PATH, HOME, USER, LANG.
std::map<std::string, std::string> app_environment(const wire::guest::Config& config);

/// The argv that runs @p command in a shell: bash where the image has it, else sh.
std::vector<std::string> shell_command(const std::string& command);

}  // namespace karreg::guest
