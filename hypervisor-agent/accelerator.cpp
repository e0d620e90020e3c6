#include "hypervisor-agent/accelerator.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>

#include "common/async/process.hpp"
#include "common/async/task_group.hpp"
#include "common/crypto/digest.hpp"
#include "common/log.hpp"
#include "common/wire/json.hpp"
#include "hypervisor-agent/domain_xml.hpp"
#include "hypervisor-agent/files.hpp"

namespace karreg::agent {

using namespace std::chrono_literals;

namespace {

struct Remembered {
  std::string machine;
  bool kvm = false;
  std::string detail;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Remembered, machine, kvm, detail)
};

/// What a verdict depends on: the kernel that was booted and the processor it ran on.
std::string machine_identity(const wire::Catalogue& catalogue) {
  auto cpu = read_whole("/proc/cpuinfo");
  std::string model;
  if (cpu) {
    const auto at = cpu->find("model name");
    if (at != std::string::npos) model = cpu->substr(at, cpu->find('\n', at) - at);
  }
  const bool device = ::access("/dev/kvm", R_OK | W_OK) == 0;
  return crypto::sha256_hex(catalogue.kernel.digest + model + (device ? "kvm" : ""));
}

/// Connects to QEMU's channel socket and waits for the guest's first byte.
awaitable<bool> guest_speaks(std::string path, SteadyTime deadline) {
  auto executor = co_await asio::this_coro::executor;
  while (std::chrono::steady_clock::now() < deadline) {
    asio::local::stream_protocol::socket socket(executor);
    auto [ec] = co_await socket.async_connect(path, as_result);
    if (!ec) {
      asio::steady_timer timer(executor, deadline);
      timer.async_wait([&socket](const error_code& cancelled) {
        if (!cancelled) socket.close();
      });
      std::array<char, 1> byte{};
      auto [read_error, n] = co_await socket.async_read_some(asio::buffer(byte), as_result);
      timer.cancel();
      co_return !read_error && n == 1;
    }
    const bool slept = co_await sleep_for(10ms);
    if (!slept) co_return false;
  }
  co_return false;
}

/// Milliseconds from the start of QEMU to the first word of karreg-init; -1 when that did not come
/// within @p limit.
awaitable<std::int64_t> probe_boot(const Settings& settings, const wire::Catalogue& catalogue,
                                   bool kvm, std::chrono::milliseconds limit) {
  const std::string blobs = settings.images_dir + "/blobs/";
  const std::string channel = settings.state_dir + (kvm ? "/probe-kvm" : "/probe-tcg");
  std::error_code ignored;
  std::filesystem::remove(channel, ignored);
  Process::Options options;
  options.argv = {"qemu-system-x86_64",
                  "-nodefaults",
                  "-no-user-config",
                  "-display",
                  "none",
                  "-m",
                  "128",
                  "-no-reboot",
                  "-machine",
                  kvm ? "pc,accel=kvm" : "pc,accel=tcg",
                  "-kernel",
                  blobs + catalogue.kernel.digest,
                  "-initrd",
                  blobs + catalogue.initrd.digest,
                  "-append",
                  kernel_command_line(kvm, 1),
                  "-device",
                  "virtio-serial-pci",
                  "-chardev",
                  "socket,id=c,server=on,wait=off,path=" + channel,
                  "-device",
                  "virtserialport,chardev=c,name=org.karreg.agent.0"};
  if (kvm) options.argv.insert(options.argv.end(), {"-cpu", "host,-arch-capabilities"});
  options.env = {{"PATH", "/usr/bin:/bin"}};
  const auto begin = std::chrono::steady_clock::now();
  auto started = Process::start(co_await asio::this_coro::executor, options);
  if (!started) co_return -1;
  Process qemu = std::move(*started);
  const bool spoke = co_await guest_speaks(channel, begin + limit);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begin);
  qemu.kill(SIGKILL);
  co_await qemu.wait();
  std::filesystem::remove(channel, ignored);
  co_return spoke ? took.count() : -1;
}

}  // namespace

awaitable<Result<Verdict>> choose_accelerator(const Settings& settings, wire::Catalogue catalogue) {
  if (settings.accelerator != "auto")
    co_return Verdict{settings.accelerator == "kvm", "chosen by the setting agent.accelerator"};
  const std::string file = settings.state_dir + "/accelerator.json";
  const std::string machine = machine_identity(catalogue);
  if (auto text = read_whole(file)) {
    auto remembered = wire::from_text<Remembered>(*text, "accelerator.json");
    if (remembered && remembered->machine == machine)
      co_return Verdict{remembered->kvm, remembered->detail};
  }
  log::info("probing accelerators");
  const std::int64_t tcg = co_await probe_boot(settings, catalogue, false, 60s);
  Remembered verdict{machine, false, {}};
  const std::string tcg_text =
      tcg < 0 ? "tcg did not boot within 60000 ms" : fmt::format("tcg boots in {} ms", tcg);
  if (::access("/dev/kvm", R_OK | W_OK) != 0) {
    verdict.detail = tcg_text + "; no usable /dev/kvm";
  } else {
    // Where KVM works it wins by far: one that needs longer than software emulation is not worth
    // waiting for.
    const auto limit = tcg < 0 ? 60'000ms : std::chrono::milliseconds(tcg);
    const std::int64_t kvm = co_await probe_boot(settings, catalogue, true, limit);
    verdict.kvm = kvm >= 0;
    verdict.detail =
        tcg_text + (kvm >= 0 ? fmt::format("; kvm boots in {} ms", kvm)
                             : fmt::format("; kvm did not boot within {} ms", limit.count()));
  }
  if (tcg < 0 && !verdict.kvm)
    co_return Error(ErrorKind::unavailable,
                    "no VM boots on this machine: " + verdict.detail +
                        "; check that qemu-system-x86 and the image store are in order");
  auto written = write_atomically(file, wire::to_text(verdict));
  if (!written) co_return written.error();
  co_return Verdict{verdict.kvm, verdict.detail};
}

}  // namespace karreg::agent
