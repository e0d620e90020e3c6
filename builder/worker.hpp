#pragma once
/// Carries one claimed build a stage further: plans and prepares it, or keeps its output. Every
/// step can be cut anywhere and done again: nothing is told to the database before it is safe on
/// disk.

#include <chrono>
#include <string>

#include "builder/app_log.hpp"
#include "builder/builds_store.hpp"
#include "builder/data_folder.hpp"
#include "builder/files.hpp"
#include "builder/image_maker.hpp"
#include "builder/options.hpp"
#include "common/crypto/vault.hpp"
#include "common/error.hpp"
#include "common/wire/catalogue.hpp"

namespace karreg::builder {

class GitTree;

class Worker {
 public:
  /// All must outlive it. One Worker for each thread.
  Worker(const Options& options, BuildsStore& store, AppLog& app_log, const crypto::Vault& vault,
         ImageMaker& images)
      : options_(options),
        data_(options.data),
        store_(store),
        app_log_(app_log),
        vault_(vault),
        images_(images) {}

  /// Claims and carries one build. False when none waits.
  Result<bool> work_once();

 private:
  Result<void> carry(ClaimedBuild& build);
  Result<void> plan_and_prepare(ClaimedBuild& build);
  /// Makes the folder @p fresh of @p build, from the files in @p folder of the tree.
  Result<void> make_disks(ClaimedBuild& build, const GitTree& tree, const std::string& folder,
                          const wire::Catalogue& catalogue, const std::filesystem::path& fresh);
  /// The catalogue with the images that @p plan needs; those that are missing are made.
  Result<wire::Catalogue> catalogue_for(ClaimedBuild& build, const wire::BuildPlan& plan);
  Result<void> keep_output(ClaimedBuild& build);
  /// Tells the owner and the database, when the build is still ours.
  Result<void> fail(ClaimedBuild& build, const std::string& why);
  /// Disk space that @p build may take at most.
  std::int64_t disk_need(const ClaimedBuild& build, const wire::Catalogue& catalogue) const;
  /// Sets the space aside; false when the build was postponed until there may be some.
  Result<bool> set_space_aside(ClaimedBuild& build, const wire::Catalogue& catalogue);
  Result<std::map<std::string, std::string>> environment(const ClaimedBuild& build) const;
  /// The artifact of an equal build, when its file is here.
  Result<std::optional<Artifact>> reusable(ClaimedBuild& build, const std::string& key);
  /// Renews the lease when a third of it is gone.
  KeepAlive keeping(ClaimedBuild& build) const;
  void say(const ClaimedBuild& build, const std::vector<std::string>& lines) {
    app_log_.write(build.app_id, build.deployment, lines);
  }

  const Options& options_;
  DataFolder data_;
  BuildsStore& store_;
  AppLog& app_log_;
  const crypto::Vault& vault_;
  ImageMaker& images_;
};

/// The image catalogue at @p images. The error says that images have to be made.
Result<wire::Catalogue> read_catalogue(const std::filesystem::path& images);

}  // namespace karreg::builder
