#include "hypervisor-agent/kvm_loop.hpp"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>

namespace karreg::agent {

namespace {
constexpr std::size_t page = 4096;
constexpr std::uint16_t rounds = 20'000;

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  bool good() const { return fd_ >= 0; }

 private:
  int fd_;
};

Error refused(const char* what) {
  return Error(ErrorKind::unavailable, std::string(what) + ": " + std::strerror(errno));
}
}  // namespace

Result<std::int64_t> kvm_loop() {
  const Fd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!kvm.good()) return refused("/dev/kvm");
  const Fd machine(::ioctl(kvm.get(), KVM_CREATE_VM, 0UL));
  if (!machine.good()) return refused("creating a VM");
  void* memory = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return refused("memory");
  // mov cx, rounds; again: dec cx; jnz again; hlt
  const std::array<std::uint8_t, 7> code = {0xb9, rounds & 0xff, rounds >> 8, 0x49,
                                            0x75, 0xfd,          0xf4};
  std::memcpy(memory, code.data(), code.size());
  kvm_userspace_memory_region region{};
  region.guest_phys_addr = page;
  region.memory_size = page;
  region.userspace_addr = reinterpret_cast<std::uint64_t>(memory);
  if (::ioctl(machine.get(), KVM_SET_USER_MEMORY_REGION, &region) != 0)
    return refused("giving memory to a VM");
  const Fd processor(::ioctl(machine.get(), KVM_CREATE_VCPU, 0UL));
  if (!processor.good()) return refused("creating a virtual processor");
  const int size = ::ioctl(kvm.get(), KVM_GET_VCPU_MMAP_SIZE, 0UL);
  if (size <= 0) return refused("asking for the size of a virtual processor");
  void* shared = ::mmap(nullptr, static_cast<std::size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED,
                        processor.get(), 0);
  if (shared == MAP_FAILED) return refused("mapping a virtual processor");
  kvm_sregs segments{};
  if (::ioctl(processor.get(), KVM_GET_SREGS, &segments) != 0) return refused("reading registers");
  segments.cs.base = 0;
  segments.cs.selector = 0;
  kvm_regs registers{};
  registers.rip = page;
  registers.rflags = 2;
  if (::ioctl(processor.get(), KVM_SET_SREGS, &segments) != 0 ||
      ::ioctl(processor.get(), KVM_SET_REGS, &registers) != 0)
    return refused("setting registers");
  const auto begin = std::chrono::steady_clock::now();
  while (::ioctl(processor.get(), KVM_RUN, 0UL) != 0)
    if (errno != EINTR && errno != EAGAIN) return refused("running a virtual processor");
  const auto took = std::chrono::steady_clock::now() - begin;
  const auto reason = static_cast<const kvm_run*>(shared)->exit_reason;
  if (reason != KVM_EXIT_HLT)
    return Error(ErrorKind::unavailable,
                 "a virtual processor stopped for reason " + std::to_string(reason));
  return std::chrono::duration_cast<std::chrono::microseconds>(took).count();
}

}  // namespace karreg::agent
