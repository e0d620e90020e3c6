#pragma once
/// What VMs boot from, brought to a host that does not share the platform's folders: artifacts and
/// blobs of images, by digest, from the store that karreg-builder serves (docs/contracts.md §7).

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "common/async/asio.hpp"
#include "common/async/task_group.hpp"
#include "common/wire/host.hpp"
#include "hypervisor-agent/sealed_files.hpp"
#include "hypervisor-agent/transfer.hpp"

namespace karreg::agent {

/// Lives on the agent's executor; transfers and disks have threads of their own. What was fetched
/// lies in <state>/fetched under its digest, whole and verified; what is on its way has the suffix
/// `.part`, and is gone on with after a cut or a restart.
class Store {
 public:
  /// What is on its way, as a sentence for whoever waits: "fetching the artifact 0123456789ab: 3 of
  /// 12 MiB".
  using Tell = std::function<void(std::string)>;
  /// Whether the asker still wants it; asked at least every second.
  using Wanted = std::function<bool()>;

  /// @p sealed: what is known of files that were read.
  Store(const Settings& settings, asio::any_io_executor executor, SealedFiles& sealed);

  /// Returns when all that @p spec boots from is on this host; at once where it is there, or where
  /// the settings name no store (what is missing is then found when the domain is made). Askers of
  /// one digest share its transfer. What was fetched and is not what its digest says any more is
  /// fetched anew. Errors: `not_found`, `forbidden` (the token), `too_large` (no
  /// room on the disk), `internal` (other bytes than the digest says), `timeout` (not all of it was
  /// here by @p deadline; what is, stays); `unavailable` when it is not wanted any more.
  awaitable<Result<void>> bring(const wire::VmSpec& spec, SteadyTime deadline, Tell tell,
                                Wanted wanted);

  /// Removes what none of @p needed names, the one that was put there first at first, until the
  /// rest is no more than the settings allow, and transfers that nobody went on with for a day.
  void sweep(const std::set<std::string>& needed);

  /// Ends transfers, which are gone on with at the next start.
  awaitable<void> stop();

 private:
  struct Flight;
  awaitable<Result<void>> bring_one(const std::string& kind, const std::string& digest,
                                    SteadyTime deadline, const Tell& tell, const Wanted& wanted);
  std::shared_ptr<Flight> join(const std::string& kind, const std::string& digest);
  awaitable<void> fly(std::shared_ptr<Flight> flight);

  awaitable<void> drop_if_damaged(const std::string& digest);

  const Settings& settings_;
  SealedFiles& sealed_;
  asio::any_io_executor executor_;
  asio::thread_pool pool_;
  TaskGroup tasks_;
  std::map<std::string, std::shared_ptr<Flight>> flights_;  ///< by digest
};

}  // namespace karreg::agent
