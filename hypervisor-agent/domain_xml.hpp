#pragma once
/// The libvirt domain of an instance. Pure: text from values.

#include <cstdint>
#include <string>
#include <vector>

namespace karreg::agent {

struct DomainDisk {
  std::string serial;  ///< tells the guest what it is (docs/contracts.md §4)
  std::string path;
  std::string format;  ///< raw or qcow2
  bool read_only = false;
  /// What a full disk of the host does to who writes here: an error for the guest, else QEMU pauses
  /// the VM and the agent lets it go on when there is space again.
  bool full_is_error = false;
};

struct DomainSpec {
  std::string name;
  bool kvm = false;
  std::int64_t memory_mb = 256;
  int vcpus = 1;
  std::string kernel;
  std::string initrd;
  std::string command_line;
  std::vector<DomainDisk> disks;
  std::string channel_socket;  ///< QEMU listens there for the agent
  std::string console_log;     ///< opened for appending, so that it can be cut short meanwhile
  std::string network_socket;  ///< of passt; empty: no network
  std::string mac;
};

/// Machine `pc` with no device that is not used, direct kernel boot, and every way of ending ends
/// the domain.
std::string domain_xml(const DomainSpec& spec);

/// The guest kernel's command line. @p kvm: real hardware, where the kernel may calibrate by
/// paravirtual clocks; else software emulation, where probing timers is what costs time (figures:
/// docs/operating.md).
std::string kernel_command_line(bool kvm, int vcpus);

}  // namespace karreg::agent
