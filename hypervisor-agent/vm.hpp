#pragma once
/// One VM from its specification to its end.

#include <functional>
#include <memory>
#include <optional>

#include "common/async/asio.hpp"
#include "common/async/task_group.hpp"
#include "common/clock.hpp"
#include "common/wire/host.hpp"
#include "hypervisor-agent/files.hpp"
#include "hypervisor-agent/guest_link.hpp"
#include "hypervisor-agent/libvirt.hpp"
#include "hypervisor-agent/log_relay.hpp"
#include "hypervisor-agent/sealed_files.hpp"
#include "hypervisor-agent/store.hpp"

namespace karreg::agent {

/// What all VMs of an agent share.
struct Host {
  Settings settings;
  asio::any_io_executor executor;  ///< of the agent
  Hypervisor& hypervisor;
  Uplink& uplink;
  asio::thread_pool& pool;  ///< for libvirt
  bool kvm = false;
  SealedFiles& artifacts;
  Store* store = nullptr;
  std::function<void()> changed;  ///< a status changed: report soon
};

/// Lives on the agent's executor. run() is its whole life; status() is what to report meanwhile.
class Vm : public std::enable_shared_from_this<Vm> {
 public:
  /// How a life begins.
  enum class Start {
    boot,   ///< from nothing
    adopt,  ///< its domain runs since before this agent did
  };

  Vm(Host& host, wire::VmSpec spec);
  /// One of which @p record tells: to adopt, or over.
  Vm(Host& host, wire::VmSpec spec, const Record& record);

  /// Boots or takes over, talks with the guest until it ends, and frees everything but the record
  /// of its end (and that too, when it was told to stop). Returns when the VM is gone, or after
  /// detach().
  awaitable<void> run(Start start);
  /// Begins a graceful stop; run() returns when it is done.
  void stop();
  /// Leaves the VM running and ends run(): the agent is going away.
  void detach();
  /// The domain is gone and nobody saw how.
  void mourn();
  /// Bounds the console file, offers unsent lines again, and tries to let a VM go on that QEMU has
  /// @p halted because a disk could not be written; now and then. Without @p halted libvirt did not
  /// say, and what was known stays.
  void tend(std::optional<bool> halted);

  const wire::VmStatus& status() const { return status_; }
  const wire::VmSpec& spec() const { return spec_; }
  const VmFiles& files() const { return files_; }
  Life life() const { return over_ ? Life::ended : stopping_ ? Life::stopping : Life::live; }
  static std::string domain_name(const std::string& instance_id) { return "karreg-" + instance_id; }

 private:
  awaitable<Result<void>> boot();
  /// Fetches what it boots from, where that is not here.
  awaitable<Result<void>> bring();
  awaitable<void> converse();
  awaitable<bool> still_running();
  awaitable<void> destroy();
  awaitable<void> destroy_after(std::chrono::milliseconds grace);
  awaitable<void> watch_health();
  awaitable<Result<void>> check();
  awaitable<void> let_go_on();
  awaitable<void> enforce_time_limit();
  /// Waits until @p limit after it was accepted; whether it then still has no end.
  awaitable<bool> outlives(std::chrono::milliseconds limit);
  /// What to say when its start took too long.
  std::string why_not_ready() const;
  /// When a build or a job that began must be over, after it was accepted.
  std::chrono::milliseconds last_limit() const;
  awaitable<void> tell_time();
  void end();
  void handle(const wire::guest::FromGuest& said);
  void handle_hello(const wire::guest::Hello& hello);
  void handle_state(const wire::guest::State& state);
  void configure_guest();
  void begin_tasks();
  void set_phase(std::string phase, std::string detail = {});
  void set_healthy(bool healthy);
  void keep_last_lines();
  void fail(std::string detail);
  void save();
  std::int64_t since_accepted() const;
  /// Its phase is one of the last.
  bool decided() const;

  Host& host_;
  wire::VmSpec spec_;
  VmFiles files_;
  wire::VmStatus status_;
  std::int64_t accepted_ms_ = unix_ms();
  std::chrono::steady_clock::time_point accepted_ = std::chrono::steady_clock::now();
  GuestLink link_;
  std::shared_ptr<LogRelay> logs_;
  TaskGroup tasks_;
  asio::steady_timer health_due_;
  std::string guest_hint_;  ///< why an app that does not get ready may not
  std::string halt_;        ///< why QEMU does not run its processors; empty: it does
  bool guest_pongs_ = false;
  bool have_build_result_ = false;
  bool have_exit_ = false;
  bool stopping_ = false;
  bool detached_ = false;
  bool fetching_ = false;  ///< it has no folder yet
  bool over_ = false;
};

/// The domain of @p spec with its disks made and its network started (on the agent's executor),
/// ready to be given to libvirt; @p address receives "ip:port". Errors are for the owner of the app
/// or the host.
awaitable<Result<std::string>> prepare_domain(Host& host, const wire::VmSpec& spec,
                                              const VmFiles& files, std::string& address);

}  // namespace karreg::agent
