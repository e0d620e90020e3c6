#include "api/git/upkeep.hpp"

#include <git2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <map>

#include "api/git/repositories.hpp"
#include "api/stores/apps_store.hpp"
#include "common/async/offload.hpp"
#include "common/async/process.hpp"
#include "common/async/task_group.hpp"
#include "common/git/repository.hpp"
#include "common/log.hpp"

namespace karreg::api::git {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using FileTime = std::chrono::file_clock::time_point;

namespace {

constexpr auto pause = 10min;
/// For packing, in one round and of one repository.
constexpr auto longest_round = 5min;
constexpr auto longest_packing = 3min;
constexpr auto quarantine_age = 24h;
constexpr auto lock_age = 1h;
constexpr auto unused_age = 1h;
/// git's own measure: loose objects are spread evenly over 256 folders, one of which is counted.
constexpr std::size_t most_loose = 1024;
constexpr std::size_t most_packs = 20;
const std::string kept_prefix = "refs/karreg/deployments/";

bool older(const fs::path& path, FileTime now, std::chrono::seconds age) {
  std::error_code ec;
  const auto changed = fs::last_write_time(path, ec);
  return !ec && now - changed > age;
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code ec;
  for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec))
    entries.push_back(it->path());
  return entries;
}

std::vector<fs::path> locks_of(const fs::path& repository) {
  std::vector<fs::path> locks;
  const auto take = [&](const fs::path& path) {
    if (path.extension() == ".lock") locks.push_back(path);
  };
  for (const auto& path : entries_of(repository)) take(path);
  std::error_code ec;
  for (fs::recursive_directory_iterator it(repository / "refs", ec), end; !ec && it != end;
       it.increment(ec))
    take(it->path());
  return locks;
}

/// Repositories of applications; the deployments of each whose commits are needed.
using Needed = std::map<std::string, std::set<int>>;

Result<Needed> needed_deployments(const Services& services) {
  return services.database.transact(
      [](pqxx::work& work) -> Result<Needed> { return deployments_in_use(work); });
}

/// A folder without an application: one whose creation failed half way. What holds commits is never
/// removed: a database that is not the repositories' own must not cost them.
void sweep_unowned(const fs::path& folder, FileTime now) {
  if (!older(folder, now, unused_age)) return;
  const auto kept = [&](const std::string& why) {
    log::warn("a repository without an application is kept",
              {log::field("folder", folder.string()), log::field("why", why)});
  };
  auto unused = is_unused(folder);
  if (!unused) return kept(unused.error().message());
  if (!*unused) return kept("it holds commits");
  std::error_code ec;
  fs::remove_all(folder, ec);
  if (ec) return kept(ec.message());
  log::info("repository without an application removed", {log::field("folder", folder.string())});
}

/// Sweeps all repositories. Returns those that want packing, in the order of their names.
std::vector<fs::path> sweep(const Services& services) {
  std::vector<fs::path> grown;
  auto needed = needed_deployments(services);
  if (!needed) return grown;  // the next round is soon
  const auto now = std::chrono::file_clock::now();
  for (const auto& folder : entries_of(services.settings.repositories)) {
    if (folder.extension() != ".git") continue;
    const auto app = needed->find(folder.stem().string());
    if (app == needed->end()) {
      sweep_unowned(folder, now);
      continue;
    }
    const int leftovers = sweep_leftovers(folder, now);
    auto forgotten = forget_old_deployments(folder, app->second);
    if (!forgotten)
      log::warn("old deployments not let go",
                {log::field("app", app->first), log::field("why", forgotten.error().message())});
    if (leftovers > 0 || forgotten.value_or(0) > 0)
      log::info("repository swept",
                {log::field("app", app->first), log::field("leftovers", leftovers),
                 log::field("old_deployments", forgotten.value_or(0))});
    if (wants_packing(folder)) grown.push_back(folder);
  }
  std::ranges::sort(grown);
  return grown;
}

awaitable<void> end_in_time(Process& git) {
  const bool late = co_await sleep_for(longest_packing);
  if (late) git.kill(SIGTERM);
}

Process::Options packing(const fs::path& folder) {
  Process::Options options;
  // Objects that nothing reaches stay for git's usual two weeks: a push may be about to need them.
  options.argv = {"nice",      "-n",
                  "19",        "git",
                  "--git-dir", folder.string(),
                  "-c",        "pack.threads=1",
                  "-c",        "pack.windowMemory=64m",
                  "gc",        "--quiet",
                  "--cruft"};
  options.env = git_environment();
  options.merge_stderr = true;
  return options;
}

awaitable<void> pack(fs::path folder) {
  auto executor = co_await asio::this_coro::executor;
  auto git = Process::start(executor, packing(folder));
  if (!git) {
    log::warn("repository not packed", {log::field("why", git.error().message())});
    co_return;
  }
  git->close_stdin();
  TaskGroup clock(executor);
  clock.spawn("time of packing", end_in_time(*git));
  std::string said;
  std::array<char, 4096> piece{};
  std::exception_ptr failure;
  int code = 0;
  try {
    for (;;) {
      const std::size_t n = co_await git->read_stdout(piece);
      if (n == 0) break;
      if (said.size() < piece.size()) said.append(piece.data(), n);
    }
    code = co_await git->wait();
  } catch (...) {
    failure = std::current_exception();
  }
  // The clock uses what lives here: it ends first, whatever happens.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  co_await clock.stop(0ms);
  git->kill(SIGTERM);
  co_await git->wait_at_most(2s);
  co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation());
  if (failure) std::rethrow_exception(failure);
  if (code == 0)
    log::info("repository packed", {log::field("folder", folder.string())});
  else
    log::warn("repository not packed", {log::field("folder", folder.string()),
                                        log::field("code", code), log::field("text", said)});
}

bool nothing_is_deployed(const Services& services) {
  auto open = services.database.transact(
      [](pqxx::work& work) -> Result<bool> { return any_open_deployment(work); });
  return open && !*open;
}

/// Packs what of @p grown comes after @p last, round the circle, as long as there is time. Returns
/// the last one that had its turn.
awaitable<fs::path> pack_some(const Services& services, std::vector<fs::path> grown,
                              fs::path last) {
  std::ranges::rotate(grown, std::ranges::upper_bound(grown, last));
  const auto deadline = std::chrono::steady_clock::now() + longest_round;
  for (const auto& folder : grown) {
    auto ask = [&] { return nothing_is_deployed(services); };
    const bool idle = co_await offload(services.pool, ask);
    if (!idle || std::chrono::steady_clock::now() > deadline) break;
    co_await pack(folder);
    last = folder;
  }
  co_return last;
}

}  // namespace

int sweep_leftovers(const fs::path& folder, FileTime now) {
  int removed = 0;
  std::error_code ec;
  for (const auto& path : entries_of(folder / "objects")) {
    if (!path.filename().string().starts_with("tmp_objdir-")) continue;
    if (older(path, now, quarantine_age) && fs::remove_all(path, ec) > 0) ++removed;
  }
  for (const auto& lock : locks_of(folder))
    if (older(lock, now, lock_age) && fs::remove(lock, ec)) ++removed;
  return removed;
}

Result<int> forget_old_deployments(const fs::path& folder, const std::set<int>& needed) {
  auto repository = karreg::git::Repository::open(folder);
  if (!repository) return repository.error();
  auto names = repository->references(kept_prefix + "*");
  if (!names) return names.error();
  std::vector<int> numbers;
  for (const auto& name : *names) {
    int number = 0;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + kept_prefix.size(), end, number);
    if (parsed.ec == std::errc{} && parsed.ptr == end) numbers.push_back(number);
  }
  std::ranges::sort(numbers, std::greater());
  int forgotten = 0;
  for (std::size_t i = kept_deployments; i < numbers.size(); ++i) {
    if (needed.contains(numbers[i])) continue;
    const std::string name = kept_prefix + std::to_string(numbers[i]);
    const int code = git_reference_remove(repository->raw(), name.c_str());
    if (code != 0) return karreg::git::last_error("removing " + name, code);
    ++forgotten;
  }
  return forgotten;
}

Result<bool> is_unused(const fs::path& folder) {
  auto repository = karreg::git::Repository::open(folder);
  if (!repository) return repository.error();
  auto names = repository->references("refs/*");
  if (!names) return names.error();
  return names->empty();
}

bool wants_packing(const fs::path& folder) {
  const auto packs =
      std::ranges::count_if(entries_of(folder / "objects/pack"),
                            [](const fs::path& path) { return path.extension() == ".pack"; });
  return entries_of(folder / "objects/17").size() * 256 > most_loose ||
         static_cast<std::size_t>(packs) > most_packs;
}

awaitable<void> upkeep_for_ever(const Services& services) {
  fs::path last;
  for (;;) {
    auto look = [&] { return sweep(services); };
    auto grown = co_await offload(services.pool, look);
    last = co_await pack_some(services, std::move(grown), std::move(last));
    const bool slept = co_await sleep_for(pause);
    if (!slept) co_return;
  }
}

}  // namespace karreg::api::git
