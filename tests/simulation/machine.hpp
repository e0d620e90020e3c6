#pragma once
/// A host and its agent: converges with the agent's own decisions (hypervisor-agent/converge.hpp)
/// on VMs that take their time, break, or do what their app's commit says:
///   good, refused (by the builder), nobuild, exits, never (listens), flaky

#include <map>
#include <optional>

#include "dice.hpp"
#include "hypervisor-agent/converge.hpp"

namespace karreg::simulation {

/// One VM, as it is.
struct Vm {
  wire::VmSpec spec;
  std::string phase = "creating";
  std::string detail;
  Time next{};                 ///< when the phase goes on
  std::optional<Time> breaks;  ///< when a flaky app ends
  std::optional<Time> sick_until;
  Time adopted_until{};
  bool reached = false;
  bool ready = false;   ///< answers requests
  bool runs = true;     ///< has a QEMU
  bool broken = false;  ///< ended, or will not come up, other than by being stopped
  wire::guest::BuildResult result;
  wire::guest::Exit exit;
  agent::Life life = agent::Life::live;

  /// How its app behaves: as its commit says, and not well on an image that is bad.
  std::string character() const {
    if (spec.kind == "run" && spec.image_digest.starts_with("bad")) return "exits";
    const auto it = spec.env.find("COMMIT_ID");
    return it == spec.env.end() ? "good" : it->second.substr(0, it->second.find('-'));
  }
};

class Machine {
 public:
  /// @p builds: it shares the data folder, where the disks of builds are.
  Machine(std::string id, std::int64_t memory_mb, bool builds, Dice& dice)
      : id_(std::move(id)), memory_mb_(memory_mb), builds_(builds), dice_(dice) {}

  const std::string& id() const { return id_; }
  bool builds() const { return builds_; }
  const std::map<std::string, Vm>& vms() const { return vms_; }
  bool agent_up() const { return agent_up_; }
  /// Job -> how often its command began here.
  const std::map<std::string, int>& begun() const { return begun_; }

  void accept(const wire::HostDesired& desired);
  /// VMs go on; a live agent converges. @p calm: nothing breaks any more.
  void step(Time now, bool calm);
  /// A report, when there is something to say.
  std::optional<wire::HostReport> report(Time now);

  void kill_agent() { agent_up_ = false; }
  void start_agent();
  /// The power goes, with all VMs.
  void fail(Time now);
  /// The QEMU of one VM dies. Empty when there is none.
  std::string kill_a_vm(Time now);
  void make_one_sick(Time now);

 private:
  void advance(Vm& vm, Time now, bool calm);
  void advance_run(Vm& vm, Time now, bool calm);
  void advance_job(Vm& vm, Time now);
  void end(Vm& vm, std::string phase, std::string detail);
  void apply(const agent::Step& step, Time now);
  wire::VmStatus status(const Vm& vm, Time now) const;

  std::string id_;
  std::int64_t memory_mb_;
  bool builds_;
  Dice& dice_;
  std::map<std::string, Vm> vms_;
  std::map<std::string, int> begun_;
  std::optional<wire::HostDesired> desired_;  ///< also on disk
  bool agent_up_ = true;
  bool changed_ = true;
  int boots_ = 0;
  Time next_report_{};
};

}  // namespace karreg::simulation
