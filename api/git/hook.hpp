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
/// Set for a client that has only a part of the history: `git receive-pack` lets nobody else move a
/// ref then, and takes no "ok" for one that was. It is told "ng" with this secret as the reason,
/// which its report loses on the way to the client (report.hpp).
inline constexpr const char* env_shallow = "KARREG_PUSH_SHALLOW";

/// Runs the hook on stdin, stdout and stderr; the body of `karreg-api hook proc-receive`. Returns
/// its exit code.
int run_proc_receive();

}  // namespace karreg::api::git
