#pragma once
/// The builder's part of the truth: rows of `builds` and `artifacts`.
///
/// A claimed build is ours until its lease ends; every write asks that the lease is still the one
/// we hold, so that a builder that slept too long changes nothing. Errors: `conflict` (the build is
/// no longer ours), `unavailable` (the database is away).

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "common/error.hpp"
#include "common/wire/plan.hpp"

namespace karreg::db {
class Database;
}

namespace karreg::builder {

/// A build to plan and prepare (`planning`), or one whose output is to be kept (`built`).
struct ClaimedBuild {
  std::string id;
  std::string app_id;
  std::string deployment;
  std::string commit_id;
  bool use_cache = true;
  bool built = false;
  std::string variant;     ///< of the app
  std::string sealed_env;  ///< of the deployment; may be empty
  std::string lease;       ///< when it ends, as the database writes it
  // From `prepared` on:
  wire::BuildPlan plan;
  std::string build_key;
  std::int64_t output_bytes = 0;
  std::int64_t age_ms = 0;  ///< since the build was asked for
};

struct Artifact {
  std::string digest;
  std::int64_t bytes = 0;
};

/// Where a build stands once it is planned.
struct Planned {
  wire::BuildPlan plan;
  std::string build_key;
};

class BuildsStore {
 public:
  explicit BuildsStore(db::Database& database) : database_(database) {}

  /// Takes the oldest build that waits for a builder, or whose builder is gone.
  Result<std::optional<ClaimedBuild>> claim(std::chrono::milliseconds lease);
  /// Prolongs the lease of @p build. Error `conflict` when it is no longer ours.
  Result<void> renew(ClaimedBuild& build, std::chrono::milliseconds lease);

  /// The artifact that an equal build made.
  Result<std::optional<Artifact>> artifact_of(const std::string& build_key);

  /// planning -> prepared: the scheduler may start the VM.
  Result<void> prepared(const ClaimedBuild& build, const Planned& planned);
  /// planning -> succeeded without a VM.
  Result<void> reused(const ClaimedBuild& build, const Planned& planned, const Artifact& artifact);
  /// built -> succeeded.
  Result<void> succeeded(const ClaimedBuild& build, const Artifact& artifact);
  /// -> failed, with the reason for the app's owner.
  Result<void> failed(const ClaimedBuild& build, const std::string& message);

  /// Ids of the builds that are not over.
  Result<std::set<std::string>> open_builds();
  /// Ids of the apps that are not torn down.
  Result<std::set<std::string>> live_apps();

 private:
  db::Database& database_;
};

}  // namespace karreg::builder
