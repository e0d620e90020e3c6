#include "hypervisor-agent/kvm_device.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "hypervisor-agent/files.hpp"

namespace karreg::agent {

namespace {
constexpr const char* device = "/dev/kvm";

Error refused(const char* what) {
  return Error(ErrorKind::unavailable, std::string(what) + ": " + std::strerror(errno));
}
}  // namespace

Result<void> settle_kvm_device(const Settings& settings, bool kvm) {
  struct stat found{};
  if (::geteuid() != 0 || ::stat(device, &found) != 0) return ok();
  if (kvm && check_readable_by_qemu(settings, device)) return ok();
  if (::unshare(CLONE_NEWNS) != 0) return refused("a mount name space of its own");
  // Mounts made outside later still come in.
  if (::mount("none", "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return refused("setting the propagation of mounts");
  // For KVM a node that belongs to QEMU's user, else a plain file that nobody may open and that is
  // no device even for root. In /dev, where nodes are allowed.
  const std::string stand_in = "/dev/.karreg-kvm-" + std::to_string(::getpid());
  ::unlink(stand_in.c_str());
  const mode_t kind = kvm ? S_IFCHR | 0600 : S_IFREG;
  if (::mknod(stand_in.c_str(), kind, found.st_rdev) != 0)
    return refused("a stand-in for /dev/kvm");
  Result<void> done = kvm ? give_to_qemu(settings, stand_in) : ok();
  if (done && ::mount(stand_in.c_str(), device, nullptr, MS_BIND, nullptr) != 0)
    done = refused("mounting the stand-in for /dev/kvm");
  ::unlink(stand_in.c_str());
  return done;
}

}  // namespace karreg::agent
