#pragma once
/// The proc-receive hook (githooks(5)): between `git receive-pack` and the API's push server.

#include "common/error.hpp"

namespace karreg::api::git {

/// Names of the environment variables by which the API tells the hook who pushes what.
inline constexpr const char* env_socket = "KARREG_HOOK_SOCKET";
inline constexpr const char* env_app = "KARREG_APP_ID";
inline constexpr const char* env_user = "KARREG_USER_ID";
/// "1": the client does not read progress, it polls the API by itself.
inline constexpr const char* env_polls = "KARREG_PUSH_POLLS";

/// Runs the hook on stdin, stdout and stderr; the body of `karreg-api hook proc-receive`. Returns
/// its exit code.
int run_proc_receive();

}  // namespace karreg::api::git
