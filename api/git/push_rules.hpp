#pragma once
/// What becomes of each ref of a push. Pure.
///
/// One branch deploys: the application's own, or, when its owner chose none, master or main,
/// whichever is pushed. Other branches are stored. Nothing is deleted, and one push deploys once.

#include <optional>
#include <string>
#include <vector>

#include "api/git/pkt_line.hpp"

namespace karreg::api::git {

struct Verdict {
  enum class Kind { deploy, store, refuse };
  Kind kind = Kind::store;
  std::string text;  ///< store: what the pusher is told; refuse: why, in one line
};

/// "refs/heads/x" -> "x"; empty for any other ref.
std::string branch_of(const std::string& ref);

/// One verdict for each of @p commands, in their order. @p deploying_branch: the application's.
std::vector<Verdict> judge(const std::vector<RefCommand>& commands,
                           const std::optional<std::string>& deploying_branch);

/// @p text as the reason of a refused ref: its first line, without control characters, at most 500
/// bytes.
std::string reason_line(const std::string& text);

}  // namespace karreg::api::git
