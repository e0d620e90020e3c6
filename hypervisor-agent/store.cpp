#include "hypervisor-agent/store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "common/async/offload.hpp"
#include "common/log.hpp"
#include "common/wire/store.hpp"
#include "hypervisor-agent/files.hpp"

namespace karreg::agent {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t transfers_at_once = 3;
/// How often whoever waits is told, and asked whether it still does.
constexpr auto tell_interval = 1s;
constexpr auto first_pause = 200ms;
constexpr auto longest_pause = 5s;
/// A transfer that nobody went on with for so long is given up.
constexpr auto part_age = 24h;
constexpr std::uintmax_t mebibyte = 1024UL * 1024;

bool is_worth_another(const Error& error) {
  return error.kind() == ErrorKind::unavailable || error.kind() == ErrorKind::timeout;
}

struct Kept {
  fs::path path;
  fs::file_time_type put;
  std::uintmax_t bytes = 0;
};

}  // namespace

/// A transfer, and those who wait for it.
struct Store::Flight {
  explicit Flight(const asio::any_io_executor& executor) : news(executor) {}
  Transfer transfer;
  asio::steady_timer news;  ///< its waits end with the transfer, and every second
  std::optional<Result<void>> result = {};
};

Store::Store(const Settings& settings, asio::any_io_executor executor, SealedFiles& sealed)
    : settings_(settings),
      sealed_(sealed),
      executor_(executor),
      pool_(transfers_at_once),
      tasks_(executor) {}

awaitable<Result<void>> Store::bring(const wire::VmSpec& spec, SteadyTime deadline, Tell tell,
                                     Wanted wanted) {
  if (settings_.store_url.empty()) co_return ok();
  std::vector<std::pair<std::string, std::string>> needed = {
      {"kernel", spec.kernel_digest},
      {"initrd", spec.initrd_digest},
      {"scratch template", spec.scratch_digest},
      {"runtime image", spec.image_digest}};
  if (!spec.artifact_digest.empty()) needed.emplace_back("artifact", spec.artifact_digest);
  for (const auto& [kind, digest] : needed) {
    auto brought = co_await bring_one(kind, digest, deadline, tell, wanted);
    if (!brought) co_return brought;
  }
  tell({});
  co_return ok();
}

awaitable<Result<void>> Store::bring_one(const std::string& kind, const std::string& digest,
                                         SteadyTime deadline, const Tell& tell,
                                         const Wanted& wanted) {
  const auto here = [&] {
    return kind == "artifact" ? fs::exists(artifact_path(settings_, digest))
                              : blob_path(settings_, digest, kind).has_value();
  };
  // What has no such digest is not asked for; that it is missing is said when the domain is made.
  if (!wire::store::is_digest(digest)) co_return ok();
  co_await drop_if_damaged(digest);
  auto pause = std::chrono::milliseconds(first_pause);
  std::string last_trouble = "it takes long";
  const auto too_late = [&](const Transfer& transfer) {
    return Error(
        ErrorKind::timeout,
        fmt::format("{} when the time to start was over ({}); a further start goes on from "
                    "there",
                    transfer.progress(), last_trouble));
  };
  while (!here()) {
    auto flight = join(kind, digest);
    const std::uint64_t before = flight->transfer.have;
    while (!flight->result) {
      tell(flight->transfer.progress());
      const auto now = std::chrono::steady_clock::now();
      if (flight->news.expiry() <= now) flight->news.expires_after(tell_interval);
      co_await flight->news.async_wait(as_result);
      if (!wanted()) co_return Error(ErrorKind::unavailable, "nobody wants it any more");
      if (!flight->result && std::chrono::steady_clock::now() >= deadline)
        co_return too_late(flight->transfer);
    }
    if (*flight->result) continue;
    const Error& trouble = flight->result->error();
    if (!is_worth_another(trouble)) co_return trouble;
    last_trouble = trouble.message();
    if (flight->transfer.have > before) pause = first_pause;
    if (std::chrono::steady_clock::now() + pause >= deadline) co_return too_late(flight->transfer);
    tell(fmt::format("{} ({}; trying again)", flight->transfer.progress(), last_trouble));
    co_await sleep_for(pause);
    if (!wanted()) co_return Error(ErrorKind::unavailable, "nobody wants it any more");
    pause = std::min(std::chrono::milliseconds(longest_pause), 2 * pause);
  }
  co_return ok();
}

awaitable<void> Store::drop_if_damaged(const std::string& digest) {
  const std::string path = fetched_path(settings_, digest);
  auto look = [this, path, digest] { return sealed_.check(path, digest); };
  auto whole = co_await offload(pool_, look);
  if (whole || whole.error().kind() == ErrorKind::not_found) co_return;
  log::warn("fetching it anew", {log::field("why", whole.error().message())});
  std::error_code ignored;  // VMs that have it open keep it
  fs::remove(path, ignored);
}

std::shared_ptr<Store::Flight> Store::join(const std::string& kind, const std::string& digest) {
  auto& flight = flights_[digest];
  if (flight) return flight;
  flight = std::make_shared<Flight>(executor_);
  flight->transfer.kind = kind;
  flight->transfer.digest = digest;
  flight->transfer.path =
      (kind == "artifact" ? wire::store::artifacts : wire::store::blobs) + digest;
  tasks_.spawn("fetching " + digest.substr(0, 12), fly(flight));
  return flight;
}

awaitable<void> Store::fly(std::shared_ptr<Flight> flight) {
  auto work = [this, flight] { return fetch(settings_, flight->transfer); };
  flight->result = co_await offload(pool_, work);
  const auto& transfer = flight->transfer;
  if (*flight->result)
    log::info("fetched", {log::field("kind", transfer.kind), log::field("digest", transfer.digest),
                          log::field("bytes", transfer.have.load())});
  else
    log::warn("not fetched",
              {log::field("kind", transfer.kind), log::field("digest", transfer.digest),
               log::field("why", flight->result->error().message())});
  flights_.erase(transfer.digest);
  flight->news.cancel();
}

void Store::sweep(const std::set<std::string>& needed) {
  if (settings_.store_url.empty()) return;
  std::vector<Kept> kept;
  std::uintmax_t bytes = 0;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(settings_.state_dir + "/fetched", failed)) {
    const std::string name = entry.path().filename();
    const auto put = entry.last_write_time(failed);
    if (failed) continue;
    if (wire::store::is_digest(name)) {
      const auto size = entry.file_size(failed);
      bytes += failed ? 0 : size;
      if (!needed.contains(name)) kept.push_back({entry.path(), put, failed ? 0 : size});
    } else if (name.ends_with(".part") && !flights_.contains(entry.path().stem()) &&
               fs::file_time_type::clock::now() - put > part_age) {
      fs::remove(entry.path(), failed);
    }
  }
  std::ranges::sort(kept, {}, &Kept::put);
  const auto most = static_cast<std::uintmax_t>(settings_.store_keep_mb) * mebibyte;
  for (const auto& file : kept) {
    if (bytes <= most) break;
    fs::remove(file.path, failed);
    bytes -= std::min(bytes, file.bytes);
    log::info("removed what no VM here boots from",
              {log::field("digest", file.path.filename().string())});
  }
}

awaitable<void> Store::stop() {
  for (const auto& [digest, flight] : flights_) flight->transfer.wanted = false;
  co_await tasks_.stop(3s);
}

}  // namespace karreg::agent
