#pragma once

#include "images/guest/supervisor.hpp"

namespace karreg::guest {

/// The life of a run VM: pre-run hook, the app until it ends and its workers beside it. Returns
/// what to tell the agent.
wire::guest::Exit run_app(Supervisor& supervisor, const wire::guest::Config& config);

/// Environment of tenants' processes: the configured one over the usual PATH, HOME, USER, LANG.
std::map<std::string, std::string> app_environment(const wire::guest::Config& config);

/// A process of the app, without its command: its user, environment and folder, @p workdir unless
/// the artifact is a root of its own, whose image says all three. Throws std::runtime_error for an
/// image that nobody can start.
Child app_child(const wire::guest::Config& config, const std::string& workdir);

/// The argv that runs @p command in a shell: bash where the image has it, else sh.
std::vector<std::string> shell_command(const std::string& command);

}  // namespace karreg::guest
