#include "hypervisor-agent/probe.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <charconv>
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
namespace fs = std::filesystem;

namespace {

constexpr auto loop_limit = 2s;
constexpr auto boot_limit = 60s;
constexpr auto poll_pause = 10ms;
constexpr const char* qemu = "/usr/bin/qemu-system-x86_64";

struct Remembered {
  std::string machine;
  Measurements measured;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Remembered, machine, measured)
};

/// What a verdict depends on: the kernel that was booted, the processor and the QEMU it ran on.
std::string machine_identity(const wire::Catalogue& catalogue) {
  auto cpu = read_whole("/proc/cpuinfo");
  std::string model;
  if (cpu) {
    const auto at = cpu->find("model name");
    if (at != std::string::npos) model = cpu->substr(at, cpu->find('\n', at) - at);
  }
  std::error_code ignored;
  return crypto::sha256_hex(
      fmt::format("{}|{}|{}|{}", catalogue.kernel.digest, model, ::access("/dev/kvm", R_OK | W_OK),
                  fs::last_write_time(qemu, ignored).time_since_epoch().count()));
}

/// Kills a process at a deadline unless told before that it is over.
class Watchdog {
 public:
  Watchdog(const asio::any_io_executor& executor, Process& process, std::chrono::milliseconds limit)
      : timer_(executor, limit), over_(std::make_shared<bool>(false)) {
    timer_.async_wait([&process, over = over_](const error_code& cancelled) {
      if (!cancelled && !*over) process.kill(SIGKILL);
    });
  }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog() { *over_ = true; }

 private:
  asio::steady_timer timer_;
  std::shared_ptr<bool> over_;
};

/// Calls `program kvm-loop`, which prints microseconds or, with a bad exit code, what KVM refuses.
awaitable<void> measure_kvm_loop(std::string program, Measurements& measured) {
  Process::Options options;
  options.argv = {std::move(program), "kvm-loop"};
  options.merge_stderr = true;
  auto executor = co_await asio::this_coro::executor;
  auto started = Process::start(executor, options);
  if (!started) {
    measured.kvm_refusal = started.error().message();
    co_return;
  }
  Process child = std::move(*started);
  const Watchdog watchdog(executor, child, loop_limit);
  std::string said;
  std::array<char, 512> buffer{};
  for (;;) {
    const std::size_t n = co_await child.read_stdout(buffer);
    if (n == 0) break;
    said.append(buffer.data(), n);
  }
  const int code = co_await child.wait();
  if (code == 128 + SIGKILL) co_return;
  if (code != 0) {
    measured.kvm_refusal = said.substr(0, said.find('\n'));
    co_return;
  }
  std::from_chars(said.data(), said.data() + said.size(), measured.kvm_loop_us);
}

/// Connects to QEMU's channel socket and waits for the guest's first byte. QEMU ends at the
/// deadline, and its socket with it.
awaitable<bool> guest_speaks(std::string path, SteadyTime deadline) {
  auto executor = co_await asio::this_coro::executor;
  while (std::chrono::steady_clock::now() < deadline) {
    asio::local::stream_protocol::socket socket(executor);
    auto [refused] = co_await socket.async_connect(path, as_result);
    if (!refused) {
      std::array<char, 1> byte{};
      auto [ec, n] = co_await socket.async_read_some(asio::buffer(byte), as_result);
      co_return !ec && n == 1;
    }
    const bool slept = co_await sleep_for(poll_pause);
    if (!slept) co_return false;
  }
  co_return false;
}

/// Milliseconds from the start of QEMU to the first word of karreg-init; -1 when that did not come
/// within
/// @p limit.
awaitable<std::int64_t> probe_boot(const Settings& settings, const wire::Catalogue& catalogue,
                                   bool kvm, std::chrono::milliseconds limit) {
  const auto kernel = blob_path(settings, catalogue.kernel.digest, "kernel");
  const auto initrd = blob_path(settings, catalogue.initrd.digest, "initrd");
  if (!kernel || !initrd) co_return -1;
  const std::string channel =
      fmt::format("{}/s/probe-{}-{}", settings.state_dir, kvm ? "kvm" : "tcg", ::getpid());
  std::error_code ignored;
  fs::remove(channel, ignored);
  Process::Options options;
  options.argv = {qemu,
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
                  *kernel,
                  "-initrd",
                  *initrd,
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
  auto executor = co_await asio::this_coro::executor;
  auto started = Process::start(executor, options);
  if (!started) co_return -1;
  Process machine = std::move(*started);
  const Watchdog watchdog(executor, machine, limit);
  const bool spoke = co_await guest_speaks(channel, begin + limit);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begin);
  machine.kill(SIGKILL);
  co_await machine.wait();
  fs::remove(channel, ignored);
  co_return spoke ? took.count() : -1;
}

}  // namespace

awaitable<Result<Measurements>> measure_accelerators(Settings settings, wire::Catalogue catalogue,
                                                     std::string program) {
  for (const auto& [what, digest] : {std::pair{"kernel", catalogue.kernel.digest},
                                     std::pair{"initrd", catalogue.initrd.digest}}) {
    auto path = blob_path(settings, digest, what);
    if (!path) co_return path.error();
  }
  Measurements measured;
  co_await measure_kvm_loop(std::move(program), measured);
  measured.tcg_boot_ms = co_await probe_boot(settings, catalogue, false, boot_limit);
  if (kvm_worth_booting(measured)) {
    // KVM that needs longer than emulation is not worth waiting for.
    const auto limit = measured.tcg_boot_ms < 0 ? std::chrono::milliseconds(boot_limit)
                                                : std::chrono::milliseconds(measured.tcg_boot_ms);
    measured.kvm_boot_ms = co_await probe_boot(settings, catalogue, true, limit);
  }
  co_return measured;
}

bool remembered_verdict(const Settings& settings) {
  if (settings.accelerator != "auto") return settings.accelerator == "kvm";
  auto text = read_whole(settings.state_dir + "/accelerator.json");
  auto remembered = text ? wire::from_text<Remembered>(*text, "accelerator.json")
                         : Result<Remembered>(text.error());
  if (!remembered) return false;
  const auto verdict = decide_accelerator(remembered->measured);
  return verdict && verdict->kvm;
}

awaitable<Result<Verdict>> choose_accelerator(Settings settings, wire::Catalogue catalogue,
                                              std::string program) {
  if (settings.accelerator != "auto")
    co_return Verdict{settings.accelerator == "kvm", "chosen by the setting agent.accelerator"};
  const std::string file = settings.state_dir + "/accelerator.json";
  const std::string machine = machine_identity(catalogue);
  if (auto text = read_whole(file)) {
    auto remembered = wire::from_text<Remembered>(*text, "accelerator.json");
    if (remembered && remembered->machine == machine)
      if (auto verdict = decide_accelerator(remembered->measured)) co_return *verdict;
  }
  log::info("probing accelerators");
  auto measured = co_await measure_accelerators(settings, catalogue, std::move(program));
  if (!measured) co_return measured.error();
  auto verdict = decide_accelerator(*measured);
  if (!verdict)
    co_return Error(ErrorKind::unavailable,
                    "no VM boots on this machine within " + std::to_string(boot_limit.count()) +
                        " s; check that qemu-system-x86 and the image store are in order");
  auto written = write_atomically(file, wire::to_text(Remembered{machine, *measured}));
  if (!written) co_return written.error();
  co_return *verdict;
}

}  // namespace karreg::agent
