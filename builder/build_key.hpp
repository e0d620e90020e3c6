#pragma once
/// What makes two builds the same: equal keys, equal artifacts, so that the second is not built.

#include <map>
#include <string>

#include "common/wire/plan.hpp"

namespace karreg::builder {

/// SHA-256 (hexadecimal) over the id of the app's tree, the plan without its reasons, its time
/// limit and what runs beside the app (workers, release, cron), the digest of the build image and,
/// when anything runs during the build, the environment it runs in. Variables that only say which
/// deployment this is do not count (`changes_build`).
std::string build_key(const std::string& tree_id, const wire::BuildPlan& plan,
                      const std::string& image_digest,
                      const std::map<std::string, std::string>& env);

/// Whether a build can give something else when the variable @p name changes.
bool changes_build(const std::string& name);

}  // namespace karreg::builder
