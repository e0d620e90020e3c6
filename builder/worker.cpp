#include "builder/worker.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <memory>
#include <system_error>

#include "builder/build_key.hpp"
#include "builder/git_tree.hpp"
#include "builder/inspect.hpp"
#include "builder/system_packages.hpp"
#include "common/git/repository.hpp"
#include "common/log.hpp"
#include "common/text.hpp"
#include "common/wire/json.hpp"

namespace karreg::builder {
namespace {

namespace fs = std::filesystem;

constexpr int max_attempts = 3;

Error file_error(const std::string& doing, const fs::path& path, const std::error_code& code) {
  return {ErrorKind::internal, doing + " " + path.string() + ": " + code.message()};
}

/// Whether @p error fails the build. The store's own kinds do not: someone else has the build, or
/// the database is away; the lease ends, and the build is taken up again.
bool fails_the_build(const Error& error) {
  return error.kind() != ErrorKind::conflict && error.kind() != ErrorKind::unavailable;
}

std::string short_id(const std::string& commit) {
  return commit.substr(0, 8);
}

}  // namespace

Result<wire::Catalogue> read_catalogue(const fs::path& images) {
  const fs::path file = images / "catalogue.json";
  std::ifstream in(file, std::ios::binary);
  if (!in)
    return Error(ErrorKind::internal,
                 "The platform has no images yet: " + file.string() +
                     " cannot be read. Its operator has to make them (karreg-images).");
  const std::string text(std::istreambuf_iterator<char>(in), {});
  return wire::from_text<wire::Catalogue>(text, file.string());
}

Result<bool> Worker::work_once() {
  auto claimed = store_.claim(options_.lease);
  if (!claimed) return claimed.error();
  if (!*claimed) return false;
  ClaimedBuild& build = **claimed;
  log::info(build.built ? "keeping the output of a build" : "planning a build",
            {log::field("app", build.app_id), log::field("deployment", build.deployment),
             log::field("build", build.id)});

  auto done = carry(build);
  if (done) return true;
  log::warn("a build did not get further",
            {log::field("app", build.app_id), log::field("deployment", build.deployment),
             log::field("build", build.id), log::field("why", done.error().message())});
  if (done.error().kind() == ErrorKind::unavailable) return done.error();
  if (!fails_the_build(done.error())) return true;
  auto failed = fail(build, done.error().message());
  if (!failed && fails_the_build(failed.error())) return failed.error();
  return true;
}

Result<void> Worker::fail(ClaimedBuild& build, const std::string& why) {
  // It may quote names of files, which are any bytes.
  const std::string message = text::printable(why);
  // Asked first, for the line must stand before what follows from the failure: a build that was
  // cancelled, or that another builder has, fails here for reasons that tell its owner nothing.
  if (auto ours = store_.renew(build, options_.lease); !ours) return ours.error();
  say(build, {"Build failed: " + message});
  if (auto failed = store_.failed(build, message); !failed) return failed.error();
  std::error_code ignored;  // the next sweep takes what is left
  fs::remove_all(data_.build(build.id), ignored);
  return ok();
}

Result<void> Worker::carry(ClaimedBuild& build) {
  // What ended its builders may end the next one too, and other builds wait meanwhile.
  if (build.attempts > max_attempts)
    return Error(ErrorKind::internal,
                 fmt::format("A builder took this build up {} times and ended each time before it "
                             "was done. Push again; if it happens again, tell the platform's "
                             "operator.",
                             max_attempts));
  return build.built ? keep_output(build) : plan_and_prepare(build);
}

KeepAlive Worker::keeping(ClaimedBuild& build) const {
  auto renewed =
      std::make_shared<std::chrono::steady_clock::time_point>(std::chrono::steady_clock::now());
  return [this, &build, renewed]() -> Result<void> {
    const auto now = std::chrono::steady_clock::now();
    if (now - *renewed < options_.lease / 3) return ok();
    *renewed = now;
    return store_.renew(build, options_.lease);
  };
}

Result<std::map<std::string, std::string>> Worker::environment(const ClaimedBuild& build) const {
  using Env = std::map<std::string, std::string>;
  if (build.sealed_env.empty()) return Env();
  auto text = vault_.open(build.sealed_env, build.deployment);
  if (!text) return text.error().within("the environment of the deployment");
  return wire::from_text<Env>(*text, "the environment of the deployment");
}

std::int64_t Worker::disk_need(const ClaimedBuild& build, const wire::Catalogue& catalogue) const {
  if (options_.build_disk_bytes > 0) return options_.build_disk_bytes;
  const std::int64_t cached = taken_bytes(data_.cache(build.app_id));
  return options_.source_max_bytes + options_.output_max_bytes + catalogue.scratch_build.bytes +
         std::max<std::int64_t>(0, catalogue.cache_template.bytes - cached);
}

Result<bool> Worker::set_space_aside(ClaimedBuild& build, const wire::Catalogue& catalogue) {
  DiskSpace space;
  space.kept = options_.min_free_bytes;
  space.wanted = disk_need(build, catalogue);
  auto room = store_.reserve(build, space.wanted, [&](const Promised& others) -> Result<Room> {
    auto free = free_bytes(data_.builds());
    if (!free) return free.error();
    space.free = *free;
    space.promised = others.bytes;
    space.others = others.builds;
    return room_for(space);
  });
  if (!room) return room.error();
  if (*room == Room::enough) return true;
  const std::string figures = fmt::format(
      "The build host has {} MiB of free disk space and keeps {} MiB of them; this build may take "
      "{} MiB",
      space.free >> 20, space.kept >> 20, space.wanted >> 20);
  if (*room == Room::never)
    return Error(ErrorKind::internal,
                 figures +
                     ". Tell the platform's operator (builder.min_free_bytes, "
                     "builder.build_disk_bytes), then push again or restart the app.");
  const std::string others = fmt::format("{}, and the builds under way ({}) may take {} MiB",
                                         figures, space.others, space.promised >> 20);
  if (build.waited && *build.waited >= options_.space_wait)
    return Error(ErrorKind::internal,
                 fmt::format("{}. They did not end within {} s: push again later, or restart the "
                             "app.",
                             others, build.waited->count() / 1000));
  if (!build.waited) say(build, {others + ". Waiting for them."});
  if (auto postponed = store_.postponed(build, options_.poll); !postponed) return postponed.error();
  return false;
}

Result<std::optional<Artifact>> Worker::reusable(ClaimedBuild& build, const std::string& key) {
  if (!build.use_cache) return std::optional<Artifact>();
  auto found = store_.artifact_of(key);
  if (!found || !*found) return found;
  std::error_code absent;
  const auto bytes = fs::file_size(data_.artifact((*found)->digest), absent);
  if (absent || static_cast<std::int64_t>(bytes) != (*found)->bytes)
    return std::optional<Artifact>();
  auto digest = digest_of(data_.artifact((*found)->digest), (*found)->bytes, keeping(build));
  if (!digest) return digest.error();
  if (*digest != (*found)->digest) {
    log::error("an artifact has other bytes than its name says: it is built anew",
               {log::field("artifact", (*found)->digest), log::field("app", build.app_id)});
    return std::optional<Artifact>();
  }
  return found;
}

Result<wire::Catalogue> Worker::catalogue_for(ClaimedBuild& build, const wire::BuildPlan& plan) {
  if (!options_.image_packages && !(plan.packages.empty() && plan.build_packages.empty()))
    return Error(ErrorKind::invalid,
                 "This app asks for packages of Debian, and the operator of this platform makes no "
                 "images for that (images.packages): leave them out, or ask the operator.");
  auto catalogue = read_catalogue(options_.images);
  for (const std::string& runtime : {plan.runtime, plan.built_on()}) {
    if (!catalogue || catalogue->runtimes.contains(runtime)) continue;
    const auto told = [&](const std::string& line) { say(build, {line}); };
    const WantedImage wanted{std::string(plain_runtime(runtime)), plan.packages,
                             plan.build_packages};
    if (auto made = images_.make(wanted, told, keeping(build)); !made) return made.error();
    catalogue = read_catalogue(options_.images);
    if (catalogue && !catalogue->runtimes.contains(runtime))
      return Error(ErrorKind::internal,
                   "The image for " + runtime + " was made, and the catalogue does not have it.");
  }
  return catalogue;
}

Result<void> Worker::plan_and_prepare(ClaimedBuild& build) {
  auto env = environment(build);
  if (!env) return env.error();
  const AppSettings settings{build.variant, std::move(*env)};

  auto repository = git::Repository::open(data_.repository(build.app_id));
  if (!repository) return repository.error();
  auto commit = repository->commit(build.commit_id);
  if (!commit) return commit.error();
  const GitTree tree(*repository, std::move(*commit), options_.source_max_files);
  auto plan = inspect(tree, settings);
  if (!plan) return plan.error();
  plan->wall_ms = plan->wall_ms > 0 ? std::min(plan->wall_ms, options_.wall_ms) : options_.wall_ms;
  auto tree_id = tree.tree_id(plan->folder);
  if (!tree_id) return tree_id.error();

  std::vector<std::string> lines = plan->reasons;
  if (!plan->problem.empty()) {
    say(build, lines);
    return Error(ErrorKind::invalid, plan->problem);
  }
  auto catalogue = catalogue_for(build, *plan);
  if (!catalogue) return catalogue.error();
  const Planned planned{
      *plan, catalogue->runtimes.at(plan->runtime).run.digest,
      build_key(*tree_id, *plan, catalogue->runtimes.at(plan->built_on()).build.digest,
                settings.env)};
  auto artifact = reusable(build, planned.build_key);
  if (!artifact) return artifact.error();
  if (*artifact) {
    lines.push_back("Nothing to build: the artifact " + (*artifact)->digest.substr(0, 12) +
                    " of an equal build is used again.");
    say(build, lines);
    auto reused = store_.reused(build, planned, **artifact);
    if (!reused) return reused.error();
    if (*reused) return ok();
    lines = {"That artifact was removed just now: building."};
  }

  auto space = set_space_aside(build, *catalogue);
  if (!space) return space.error();
  if (!*space) return ok();
  if (!build.use_cache) lines.emplace_back("Without the cache: dependencies are fetched anew.");
  say(build, lines);
  const FolderGuard fresh(data_.fresh_build(build.id));
  const FolderGuard aside(data_.fresh_build(build.id));
  if (auto made = make_disks(build, tree, plan->folder, *catalogue, fresh.path()); !made)
    return made.error();
  // Under its name stands, if anything, what a builder left that ended just before it told the
  // database: the build is not prepared, so no VM uses it.
  auto done = store_.prepared(build, planned, [&] {
    return publish_folder(fresh.path(), data_.build(build.id), aside.path());
  });
  if (done)
    log::info("prepared a build", {log::field("app", build.app_id), log::field("build", build.id),
                                   log::field("commit", short_id(build.commit_id)),
                                   log::field("runtime", plan->runtime)});
  return done;
}

Result<void> Worker::make_disks(ClaimedBuild& build, const GitTree& tree, const std::string& folder,
                                const wire::Catalogue& catalogue, const fs::path& fresh) {
  const KeepAlive alive = keeping(build);
  std::error_code failed;
  fs::create_directories(fresh, failed);
  if (failed) return file_error("creating", fresh, failed);

  auto source = FileWriter::create(DataFolder::source_in(fresh));
  if (!source) return source.error();
  const ArchiveLimits limits{options_.source_max_bytes, options_.file_max_bytes,
                             options_.source_max_files};
  auto archived = tree.archive(folder, limits, [&](std::string_view piece) -> Result<void> {
    if (auto still = alive(); !still) return still.error();
    return source->write(piece);
  });
  if (!archived) return archived.error();
  if (auto synced = source->sync(); !synced) return synced.error();

  auto output = FileWriter::create(DataFolder::output_in(fresh));
  if (!output) return output.error();
  if (auto sized = output->resize(options_.output_max_bytes); !sized) return sized.error();
  if (auto synced = output->sync(); !synced) return synced.error();
  // A cache that is full or damaged fails every build that gets it: one without the cache ends
  // that.
  auto cached = copy_template(options_.images / "blobs" / catalogue.cache_template.digest,
                              data_.cache(build.app_id),
                              build.use_cache ? Existing::keep : Existing::replace);
  if (!cached) return cached.error();
  return sync_folder(fresh);
}

Result<void> Worker::keep_output(ClaimedBuild& build) {
  const fs::path output = DataFolder::output_in(data_.build(build.id));
  if (build.output_bytes <= 0 || build.output_bytes % 4096 != 0 ||
      build.output_bytes > options_.output_max_bytes)
    return Error(ErrorKind::internal,
                 fmt::format("The build VM reported an artifact of {} bytes, which cannot be. Push "
                             "again; if it happens again, tell the platform's operator.",
                             build.output_bytes));
  auto digest = seal(output, build.output_bytes, keeping(build));
  if (!digest) return digest.error();

  say(build, {fmt::format("Build succeeded in {:.1f} s: {:.1f} MiB, artifact {}.",
                          static_cast<double>(build.age_ms) / 1000.0,
                          static_cast<double>(build.output_bytes) / (1024.0 * 1024.0),
                          digest->substr(0, 12))});
  // Of an equal build there is one already, which VMs may have open: it stays, unless it is
  // damaged.
  const fs::path artifact = data_.artifact(*digest);
  const auto standing = digest_of(artifact, build.output_bytes, keeping(build));
  const bool is_whole = standing && *standing == *digest;
  // A second name instead of a move: whatever happens before the commit, the output is still here
  // for the next try.
  auto done = store_.succeeded(build, {*digest, build.output_bytes}, [&]() -> Result<void> {
    if (is_whole && fs::exists(artifact)) return ok();
    return link_file(output, artifact);
  });
  if (!done) return done.error();
  std::error_code ignored;  // the next sweep takes what is left
  fs::remove_all(data_.build(build.id), ignored);
  log::info("kept an artifact",
            {log::field("app", build.app_id), log::field("build", build.id),
             log::field("artifact", *digest), log::field("bytes", build.output_bytes)});
  return ok();
}

}  // namespace karreg::builder
