#pragma once
/// The user's own git.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/profile.hpp"
#include "common/error.hpp"

namespace karreg::cli {

/// The full id of the commit that @p revision names in @p folder. Error `not_found` outside a
/// repository or for an unknown revision.
Result<std::string> commit_of(const std::string& folder, const std::string& revision,
                              const Environment& environment);

/// Lets git, run with @p environment, open the platform's repositories with the login of @p
/// profile: name and password reach it through GIT_ASKPASS, which is this program; they stand on no
/// command line and in no file.
void add_login(Environment& environment, const Profile& profile);

struct Push {
  std::string folder;
  std::string url;
  std::string commit;  ///< full id
  std::string branch;  ///< on the platform
  bool force = false;
  std::function<bool()> on_tick;  ///< false detaches
};

/// How a push ended for the one reference of it.
struct PushEnd {
  enum class Result { pushed, up_to_date, rejected, failed, detached };
  Result result = Result::failed;
  std::string reason;  ///< of a rejection, as git or the platform said it
  int exit_code = 0;   ///< git's
};

/// Runs `git push` with the login of @p profile, its own output going to stderr live.
Result<PushEnd> push(const Push& push, const Profile& profile, const Environment& environment);

/// What `git push --porcelain` printed and how it ended, as one PushEnd.
PushEnd read_push(const std::string& porcelain, int exit_code);

/// The answer to git's question when this process was started by git as GIT_ASKPASS; nothing when
/// it was not. @p question is argv[1].
std::optional<std::string> askpass_answer(const Environment& environment,
                                          const std::string& question);

}  // namespace karreg::cli
