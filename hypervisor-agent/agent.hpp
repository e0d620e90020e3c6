#pragma once
/// The agent: converges this host on what the scheduler wants, and reports.

#include <map>
#include <memory>

#include "common/broker/consumer.hpp"
#include "common/wire/catalogue.hpp"
#include "hypervisor-agent/accelerator.hpp"
#include "hypervisor-agent/vm.hpp"

namespace karreg::agent {

/// Adopts what runs, then follows desired states until stopped. Lives on one executor.
class Agent {
 public:
  Agent(asio::io_context& io, Settings settings, Hypervisor& hypervisor, Verdict verdict);

  /// Takes over running VMs and the last desired state on disk, connects to the broker, begins to
  /// report.
  Result<void> start();
  /// Leaves VMs running.
  awaitable<void> stop();
  /// Takes over a desired state; an older generation than the present one is passed over.
  void accept(wire::HostDesired desired);

 private:
  void adopt();
  void converge_now();
  void launch(wire::VmSpec spec, bool adopted);
  awaitable<void> live(std::shared_ptr<Vm> vm, bool adopted);
  awaitable<void> report_loop();
  void report();

  asio::io_context& io_;
  asio::thread_pool pool_;
  broker::Publisher publisher_;
  Host host_;
  Verdict verdict_;
  std::string boot_id_;
  wire::HostDesired desired_;
  bool have_desired_ = false;
  std::map<std::string, std::shared_ptr<Vm>> vms_;
  TaskGroup tasks_;
  asio::steady_timer report_due_;
  bool report_soon_ = false;
  std::unique_ptr<broker::Consumer> consumer_;
};

}  // namespace karreg::agent
