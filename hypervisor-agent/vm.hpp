#pragma once
/// One VM from its specification to its end.

#include <boost/asio/local/stream_protocol.hpp>
#include <deque>
#include <functional>
#include <memory>

#include "common/async/asio.hpp"
#include "common/async/task_group.hpp"
#include "common/broker/publisher.hpp"
#include "common/wire/host.hpp"
#include "hypervisor-agent/files.hpp"
#include "hypervisor-agent/libvirt.hpp"

namespace karreg::agent {

/// What all VMs of an agent share.
struct Host {
  Settings settings;
  asio::any_io_executor executor;  ///< of the agent
  Hypervisor& hypervisor;
  broker::Publisher& publisher;
  asio::thread_pool& pool;  ///< for libvirt
  bool kvm = false;
  std::function<void()> changed;  ///< a status changed: report soon
};

/// Lives on the agent's executor. run() is its whole life; status() is what to report meanwhile.
class Vm : public std::enable_shared_from_this<Vm> {
 public:
  Vm(Host& host, wire::VmSpec spec);

  /// Boots (or, when @p adopted, takes over a running domain), talks with the guest until it ends,
  /// and frees everything but the status. Returns when the VM is gone.
  awaitable<void> run(bool adopted);
  /// Begins a graceful stop; run() returns when it is done.
  void stop();
  /// Leaves the VM running and ends run(): the agent is going away.
  void detach();

  const wire::VmStatus& status() const { return status_; }
  const wire::VmSpec& spec() const { return spec_; }
  bool stopping() const { return stopping_; }
  static std::string domain_name(const std::string& instance_id) { return "karreg-" + instance_id; }

 private:
  using Socket = asio::local::stream_protocol::socket;

  awaitable<Result<void>> boot();
  awaitable<Result<void>> make_disks(std::vector<struct DomainDisk>& disks);
  awaitable<void> converse();
  awaitable<void> send_loop();
  awaitable<void> watch_health();
  awaitable<void> enforce_start_timeout();
  awaitable<void> enforce_stop(std::chrono::milliseconds grace);
  awaitable<bool> still_running();
  awaitable<void> destroy();
  void handle(const wire::guest::FromGuest& message);
  void handle_log(const wire::guest::Log& log);
  void configure_guest();
  void send(std::string line);
  void set_phase(std::string phase, std::string detail = {});
  void fail(std::string detail);
  std::int64_t since_accepted() const;
  bool ended() const;

  Host& host_;
  wire::VmSpec spec_;
  VmFiles files_;
  wire::VmStatus status_;
  std::string ip_;
  std::chrono::steady_clock::time_point accepted_ = std::chrono::steady_clock::now();
  std::unique_ptr<Socket> socket_;
  std::deque<std::string> outgoing_;
  asio::steady_timer outgoing_ready_;
  std::deque<std::string> last_lines_;
  TaskGroup tasks_;
  std::string guest_phase_;
  std::string guest_hint_;  ///< what the guest said of an app that does not get ready
  bool have_build_result_ = false;
  bool have_exit_ = false;
  bool stopping_ = false;
  bool detached_ = false;
};

}  // namespace karreg::agent
