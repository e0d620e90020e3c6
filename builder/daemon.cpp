#include "builder/daemon.hpp"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "builder/worker.hpp"
#include "common/db/migrate.hpp"
#include "common/log.hpp"

namespace karreg::builder {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

constexpr auto sweep_interval = 10s;
/// Looking for artifacts reads all of them, and none is in a hurry to go.
constexpr auto artifacts_interval = 10min;

bool is_old(const fs::path& file) {
  std::error_code failed;
  const auto changed = fs::last_write_time(file, failed);
  return !failed && fs::file_time_type::clock::now() - changed > 1h;
}

/// A copy of the cache template that its builder did not live to finish.
bool is_abandoned_copy(const fs::path& cache) {
  return cache.extension() != ".img" && is_old(cache);
}

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::start(Options options) {
  const DataFolder data(options.data);
  for (const fs::path& folder : {data.builds(), data.caches(), data.artifacts()}) {
    std::error_code failed;
    fs::create_directories(folder, failed);
    if (failed)
      return Error(ErrorKind::internal,
                   "setting data.dir: creating " + folder.string() + ": " + failed.message());
  }
  auto vault = crypto::Vault::open_existing(options.key_file);
  if (!vault) return vault.error();
  if (auto migrated = db::migrate(options.database_url, 60s); !migrated)
    return migrated.error().within("setting database.url");
  std::unique_ptr<StoreServer> store;
  if (options.store_listen) {
    auto started = StoreServer::start(options);
    if (!started) return started.error();
    store = std::move(*started);
  }
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(options), std::move(*vault)));
  daemon->store_server_ = std::move(store);
  return daemon;
}

Daemon::Daemon(Options options, crypto::Vault vault)
    : options_(std::move(options)),
      vault_(std::move(vault)),
      data_(options_.data),
      database_(options_.database_url, static_cast<std::size_t>(options_.parallel) + 1),
      store_(database_),
      publisher_(options_.broker),
      app_log_(publisher_, std::min(options_.lease / 4, std::chrono::milliseconds(2000))),
      images_(options_.image_command, options_.images),
      relay_(options_.database_url, publisher_) {
  consumer_ = std::make_unique<broker::Consumer>(
      options_.broker, broker::builder_queue(),
      [this](const broker::Delivery&) {
        wake();
        return broker::Disposition::ack;
      },
      [this] { wake(); });
  for (int i = 0; i < options_.parallel; ++i) threads_.emplace_back([this] { work(); });
  threads_.emplace_back([this] { sweep(); });
  log::info("karreg-builder is ready", {log::field("data", options_.data.string()),
                                        log::field("parallel", options_.parallel)});
}

Daemon::~Daemon() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  images_.stop();
  consumer_->stop();
  for (std::thread& thread : threads_) thread.join();
  relay_.stop();
  publisher_.stop(2s);
}

void Daemon::wake() {
  {
    const std::lock_guard lock(mutex_);
    ++news_;
  }
  changed_.notify_all();
}

bool Daemon::wait(std::uint64_t& seen, std::chrono::milliseconds at_most) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, at_most, [&] { return stopping_ || news_ != seen; });
  seen = news_;
  return !stopping_;
}

void Daemon::work() {
  Worker worker(options_, store_, app_log_, vault_, images_);
  std::uint64_t seen = 0;
  for (bool more = true; more;) {
    bool busy = false;
    std::string failure;
    // The boundary of one build: an exception is a bug in its handling, not the end of the others.
    try {
      auto worked = worker.work_once();
      busy = worked && *worked;
      if (!worked) failure = worked.error().message();
    } catch (const std::exception& e) {
      failure = e.what();
    }
    if (!failure.empty()) log::error("a round of work failed", {log::field("why", failure)});
    more = wait(seen, busy ? 0ms : (failure.empty() ? options_.poll : 1000ms));
  }
}

void Daemon::sweep() {
  auto artifacts_due = std::chrono::steady_clock::now();
  for (bool more = true; more;) {
    auto swept = sweep_once();
    if (swept && std::chrono::steady_clock::now() >= artifacts_due) {
      swept = sweep_artifacts();
      artifacts_due = std::chrono::steady_clock::now() + artifacts_interval;
    }
    if (!swept)
      log::warn("old files were not removed", {log::field("why", swept.error().message())});
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, sweep_interval, [&] { return stopping_; });
    more = !stopping_;
  }
}

Result<void> Daemon::sweep_once() {
  // Names first, rows second: a folder of a build that begins in between is not seen as an orphan.
  std::vector<fs::path> folders;
  std::vector<fs::path> caches;
  std::error_code failed;
  for (fs::directory_iterator it(data_.builds(), failed), end; !failed && it != end;
       it.increment(failed))
    folders.push_back(it->path());
  for (fs::directory_iterator it(data_.caches(), failed), end; !failed && it != end;
       it.increment(failed))
    caches.push_back(it->path());
  if (failed) return Error(ErrorKind::internal, "listing old files: " + failed.message());
  if (folders.empty() && caches.empty()) return ok();

  auto open = store_.open_builds();
  if (!open) return open.error();
  auto live = store_.live_apps();
  if (!live) return live.error();
  for (const fs::path& folder : folders)
    if (const std::string build = DataFolder::build_of(folder.filename().string());
        !open->contains(build)) {
      fs::remove_all(folder, failed);
      log::info("removed the files of a build that is over", {log::field("build", build)});
    }
  for (const fs::path& cache : caches) {
    // "app_x.img", or "app_x.img.<uuid>" that a builder is growing.
    const std::string name = cache.filename().string();
    const std::string app = name.substr(0, name.find('.'));
    if (!live->contains(app)) {
      fs::remove(cache, failed);
      log::info("removed the build cache of an app that is gone", {log::field("app", app)});
    } else if (is_abandoned_copy(cache)) {
      fs::remove(cache, failed);
    }
  }
  return ok();
}

Result<void> Daemon::sweep_artifacts() {
  auto dropped = store_.drop_unneeded_artifacts();
  if (!dropped) return dropped.error();
  std::set<std::string> orphans(dropped->begin(), dropped->end());
  // Those too whose row was removed by a builder that ended before it removed the file.
  auto kept = store_.artifacts();
  if (!kept) return kept.error();
  std::error_code failed;
  for (fs::directory_iterator it(data_.artifacts(), failed), end; !failed && it != end;
       it.increment(failed))
    if (const std::string digest = it->path().filename().string();
        !kept->contains(digest) && is_old(it->path()))
      orphans.insert(digest);
  if (failed) return Error(ErrorKind::internal, "listing artifacts: " + failed.message());
  for (const std::string& digest : orphans) {
    // A build may just now have made it again.
    auto removed = store_.without_row(digest, [&] {
      std::error_code ignored;  // the next sweep takes what is left
      fs::remove(data_.artifact(digest), ignored);
    });
    if (!removed) return removed.error();
    if (*removed)
      log::info("removed an artifact that nothing needs", {log::field("artifact", digest)});
  }
  return ok();
}

}  // namespace karreg::builder
