#pragma once
/// scheduler <-> agents (docs/contracts.md §2): the VMs that a host should have, and those it has.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/json.hpp"
#include "common/wire/guest.hpp"

namespace karreg::wire {

/// Health of a run VM, checked by the agent through the same address that proxies use. An empty @c
/// path: the guest says `listening` and a TCP connection is accepted. Otherwise GET @c path must
/// answer 2xx or 3xx.
struct HealthCheck {
  std::string path;
  std::int64_t interval_ms = 10'000;
  std::int64_t timeout_ms = 5'000;
  int failures_to_unhealthy = 3;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(HealthCheck, path, interval_ms, timeout_ms,
                                              failures_to_unhealthy)
};

/// One VM that should run. Immutable: a spec with the same @c instance_id never changes.
struct VmSpec {
  std::string instance_id;
  std::string kind;  ///< "run", "build" or "job"
  std::string app_id;
  std::string deployment_id;
  std::string build_id;       ///< build VMs: names <data>/builds/<build_id>/
  int number = 0;             ///< INSTANCE_NUMBER
  std::string kernel_digest;  ///< blobs of the image store
  std::string initrd_digest;
  std::string image_digest;
  std::string scratch_digest;
  std::string artifact_digest;  ///< run and job VMs: <data>/artifacts/<digest>, or fetched
  std::int64_t memory_mb = 256;
  int vcpus = 1;
  std::map<std::string, std::string> env;
  guest::RunConfig run;
  guest::BuildConfig build;
  guest::JobConfig job;
  HealthCheck health;  ///< run VMs
  std::int64_t start_timeout_ms =
      180'000;  ///< to `healthy` (run), to its command (job); after it the agent reports `failed`
  std::int64_t stop_grace_ms = 10'000;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(VmSpec, instance_id, kind, app_id, deployment_id,
                                              build_id, number, kernel_digest, initrd_digest,
                                              image_digest, scratch_digest, artifact_digest,
                                              memory_mb, vcpus, env, run, build, job, health,
                                              start_timeout_ms, stop_grace_ms)
};

/// Everything that should run on a host: what is not listed must stop (gracefully) and be
/// forgotten. @c generation only grows.
struct HostDesired {
  std::string host_id;
  std::uint64_t generation = 0;
  std::vector<VmSpec> vms;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(HostDesired, host_id, generation, vms)
};

/// Milliseconds since the agent accepted the spec; -1: not reached yet.
struct VmStages {
  std::int64_t process_ms = -1;    ///< QEMU runs
  std::int64_t pid1_ms = -1;       ///< karreg-init said hello
  std::int64_t exec_ms = -1;       ///< the app's process was started
  std::int64_t listening_ms = -1;  ///< something accepts on the port
  std::int64_t healthy_ms = -1;    ///< the first health check passed
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(VmStages, process_ms, pid1_ms, exec_ms, listening_ms,
                                              healthy_ms)
};

/// Phases of a VM as the agent sees it:
///   creating -> booting -> pre_run -> starting -> running            (run)
///   creating -> booting -> building -> packing -> built              (build; `built` carries the
///   result, good or bad)
///   creating -> booting -> starting -> exited                        (job; `starting` while its
///   command runs, `exited` carries how it ended)
///   any -> exited (the app or the guest ended by itself) | failed (could not start, time-out, QEMU
///   died) | stopping (no longer desired)
/// `exited`, `failed` and `built` stay in the report until the spec is no longer desired.
struct VmStatus {
  std::string instance_id;
  std::string phase;
  bool healthy = false;
  std::string address;  ///< "host:port" once known
  std::string detail;   ///< a sentence: why it failed, what it waits for
  std::vector<std::string>
      last_lines;  ///< at most 20, the end of the output, when exited or failed
  VmStages stages;
  guest::BuildResult build;  ///< phase `built`
  guest::Exit exit;          ///< phase `exited`, where the guest said it
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(VmStatus, instance_id, phase, healthy, address,
                                              detail, last_lines, stages, build, exit)
};

/// agent -> scheduler: on every change, at start, and every 2 s. Whole: an instance that was
/// desired at @c generation and is not listed is gone.
struct HostReport {
  std::string host_id;
  std::string agent_boot;        ///< id of this agent process
  std::uint64_t generation = 0;  ///< of the HostDesired it converges on; 0: none yet, send one
  std::string address;
  std::int64_t memory_mb = 0;  ///< given to VMs at the most
  int vcpus = 0;
  std::string accelerator;         ///< "kvm" or "tcg"
  std::string accelerator_detail;  ///< the measured figures
  bool builds = true;              ///< build VMs can run here: it shares the data folder
  std::vector<VmStatus> vms;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(HostReport, host_id, agent_boot, generation, address,
                                              memory_mb, vcpus, accelerator, accelerator_detail,
                                              builds, vms)
};

}  // namespace karreg::wire
