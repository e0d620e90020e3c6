#pragma once
/// libvirt in domain words. Every call blocks; the object may be used from several threads. A lost
/// connection is opened again by the next call.

#include <memory>
#include <string>
#include <vector>

#include "common/error.hpp"

namespace karreg::agent {

class Hypervisor {
 public:
  /// Connects to @p uri. For an embedded driver (`qemu:///embed?root=DIR`) it writes
  /// DIR/etc/qemu.conf first, with QEMU running as @p qemu_user when we are root. Error
  /// `unavailable` with libvirt's own message. The process ignores SIGPIPE (common/async/run.hpp):
  /// libvirt may write to a daemon that has just died.
  static Result<std::unique_ptr<Hypervisor>> connect(const std::string& uri,
                                                     const std::string& qemu_user);
  virtual ~Hypervisor() = default;
  /// Asks for what QEMU can do, so that the answer (some seconds for a new root) is there when the
  /// first VM starts.
  virtual void warm_up(bool kvm) = 0;
  /// Starts a transient domain.
  virtual Result<void> start(const std::string& xml) = 0;
  /// Names of running domains.
  virtual Result<std::vector<std::string>> running() = 0;
  /// Names of domains that QEMU has paused because a disk could not be written.
  virtual Result<std::vector<std::string>> halted() = 0;
  /// Lets a paused domain go on; it repeats what it could not write.
  virtual Result<void> resume(const std::string& name) = 0;
  virtual Result<bool> is_running(const std::string& name) = 0;
  /// Ends a domain at once; an absent one is fine.
  virtual Result<void> destroy(const std::string& name) = 0;
};

}  // namespace karreg::agent
