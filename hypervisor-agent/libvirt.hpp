#pragma once
/// libvirt in domain words. Every call blocks; the object may be used from several threads.

#include <memory>
#include <string>
#include <vector>

#include "common/error.hpp"

namespace karreg::agent {

class Hypervisor {
 public:
  /// Connects to @p uri. For an embedded driver (`qemu:///embed?root=DIR`) it writes
  /// DIR/etc/qemu.conf first, with QEMU running as @p qemu_user when we are root. Error
  /// `unavailable` with libvirt's own message.
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
  virtual Result<bool> is_running(const std::string& name) = 0;
  /// Ends a domain at once; an absent one is fine.
  virtual Result<void> destroy(const std::string& name) = 0;
};

}  // namespace karreg::agent
