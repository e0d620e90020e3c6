#pragma once
/// The agent: converges this host on what the scheduler wants, and reports.

#include <map>
#include <memory>
#include <set>

#include "hypervisor-agent/accelerator.hpp"
#include "hypervisor-agent/store.hpp"
#include "hypervisor-agent/vm.hpp"

namespace karreg::agent {

/// Adopts what runs, then follows desired states until stopped. Lives on one executor.
class Agent {
 public:
  Agent(asio::io_context& io, Settings settings, Hypervisor& hypervisor, Uplink& uplink,
        Verdict verdict);

  /// Takes over running VMs and the last desired state on disk, and begins to report.
  Result<void> start();
  /// Leaves VMs running.
  awaitable<void> stop();
  /// Takes over a desired state; an older generation than the present one is passed over.
  void accept(wire::HostDesired desired);
  /// Reports soon: somebody may have missed the last ones.
  void report_soon();
  wire::HostReport report() const;

 private:
  awaitable<void> converge_loop();
  awaitable<void> report_loop();
  awaitable<std::vector<Step>> look_everywhere();
  std::vector<Step> look_at_own(bool& strangers);
  World own_world(const std::map<std::string, Books>& books) const;
  awaitable<void> tend_all();
  /// Digests of what VMs here boot from, or are to.
  std::set<std::string> needed() const;
  void apply(const Step& step);
  void launch(std::shared_ptr<Vm> vm, Vm::Start start);
  awaitable<void> live(std::shared_ptr<Vm> vm, Vm::Start start);
  awaitable<void> remove_domain(std::string instance_id);
  void send_report();
  void converge_soon();

  asio::io_context& io_;
  asio::thread_pool pool_;
  Uplink& uplink_;
  SealedFiles artifacts_;
  Host host_;
  Store store_;
  Verdict verdict_;
  std::string boot_id_;
  std::optional<wire::HostDesired> desired_;
  std::map<std::string, std::shared_ptr<Vm>> vms_;
  TaskGroup tasks_;
  asio::steady_timer converge_due_;
  bool converge_wanted_ = true;
  asio::steady_timer report_due_;
  bool report_wanted_ = true;
  bool report_under_way_ = false;
};

}  // namespace karreg::agent
