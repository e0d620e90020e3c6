#pragma once
/// The builder's part of the truth: rows of `builds` and `artifacts`.
///
/// A claimed build is ours until its lease ends; every write asks that the lease is still the one
/// we hold, so that a builder that slept too long changes nothing. Errors: `conflict` (the build is
/// no longer ours), `unavailable` (the database is away).

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "builder/disk_space.hpp"
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
  int attempts = 0;        ///< how often this stage was taken up, this time included
  std::optional<std::chrono::milliseconds> waited;  ///< for disk space; nothing: it did not yet
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

/// Disk space that other builds may take.
struct Promised {
  std::int64_t bytes = 0;
  int builds = 0;
};

/// Where a build stands once it is planned.
struct Planned {
  wire::BuildPlan plan;
  std::string run_image;  ///< digest of the image that goes with the artifact
  std::string build_key;
};

class BuildsStore {
 public:
  explicit BuildsStore(db::Database& database) : database_(database) {}

  /// Takes the oldest build that waits for a builder, or whose builder is gone.
  Result<std::optional<ClaimedBuild>> claim(std::chrono::milliseconds lease);
  /// Prolongs the lease of @p build. Error `conflict` when it is no longer ours.
  Result<void> renew(ClaimedBuild& build, std::chrono::milliseconds lease);

  /// The artifact of the newest build, of whatever app, that had this key.
  Result<std::optional<Artifact>> artifact_of(const std::string& build_key);

  /// Asks @p decide whether @p build finds room beside what is promised to others, and promises it
  /// @p bytes when it does. One at a time in the whole platform; @p decide may be called again.
  Result<Room> reserve(const ClaimedBuild& build, std::int64_t bytes,
                       const std::function<Result<Room>(const Promised&)>& decide);
  /// Gives @p build back: it may be claimed again after @p pause, as if it had not been now.
  Result<void> postponed(const ClaimedBuild& build, std::chrono::milliseconds pause);

  /// planning -> prepared: the scheduler may start the VM. @p publish gives the disks their names
  /// while nobody else can take the build; it may be called again.
  Result<void> prepared(const ClaimedBuild& build, const Planned& planned,
                        const std::function<Result<void>()>& publish);
  /// planning -> succeeded without a VM. False, and nothing is changed, when the artifact was
  /// removed meanwhile.
  Result<bool> reused(const ClaimedBuild& build, const Planned& planned, const Artifact& artifact);
  /// built -> succeeded. @p keep puts the artifact's file in its place while no sweep looks at it;
  /// it may be called again.
  Result<void> succeeded(const ClaimedBuild& build, const Artifact& artifact,
                         const std::function<Result<void>()>& keep);
  /// -> failed, with the reason for the app's owner.
  Result<void> failed(const ClaimedBuild& build, const std::string& message);

  /// Ids of the builds that are not over.
  Result<std::set<std::string>> open_builds();
  /// Ids of the apps that are not torn down.
  Result<std::set<std::string>> live_apps();

  /// Removes the rows of the artifacts that nothing needs; gives their digests.
  Result<std::vector<std::string>> drop_unneeded_artifacts();
  /// Digests of all artifacts.
  Result<std::set<std::string>> artifacts();
  /// Calls @p remove when the artifact @p digest has no row, while no build can give it one. Gives
  /// whether it was called.
  Result<bool> without_row(const std::string& digest, const std::function<void()>& remove);

  /// Digests of the images that instances boot or may boot yet: of builds that are not over, and of
  /// deployments that are under way, in service, or have an instance left. What is deployed or gone
  /// back to later is planned again, with the images of that day.
  Result<std::set<std::string>> images_in_use();

 private:
  db::Database& database_;
};

}  // namespace karreg::builder
