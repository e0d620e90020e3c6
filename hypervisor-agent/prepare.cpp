// From a specification to what libvirt needs: disks, network, XML.
#include <fmt/format.h>

#include <filesystem>

#include "common/async/offload.hpp"
#include "common/async/process.hpp"
#include "common/log.hpp"
#include "common/wire/json.hpp"
#include "hypervisor-agent/domain_xml.hpp"
#include "hypervisor-agent/network.hpp"
#include "hypervisor-agent/vm.hpp"

namespace karreg::agent {

namespace msg = wire::guest;
namespace fs = std::filesystem;

namespace {
/// Every VM has a network of its own, so its address on the wire need not be unique. Locally
/// administered (IEEE 802c).
constexpr const char* guest_mac = "52:54:00:6b:61:72";
constexpr int network_attempts = 5;

/// An empty overlay on a scratch template. QEMU's tool makes it once per template; a VM gets a
/// copy, since the file is all zeros but for a header that names the template.
awaitable<Result<std::string>> overlay_of(const Settings& settings, std::string digest) {
  auto scratch = blob_path(settings, digest, "scratch template");
  if (!scratch) co_return scratch.error();
  std::string ready = settings.state_dir + "/templates/" + digest + ".qcow2";
  if (fs::exists(ready)) co_return ready;
  // A name of its own: two VMs may be the first at the same time.
  const std::string fresh =
      fmt::format("{}.{}", ready, std::chrono::steady_clock::now().time_since_epoch().count());
  Process::Options create;
  create.argv = {"qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", *scratch, fresh};
  create.env = {{"PATH", "/usr/bin:/bin"}};
  auto started = Process::start(co_await asio::this_coro::executor, create);
  if (!started) co_return started.error();
  Process process = std::move(*started);
  const int code = co_await process.wait();
  std::error_code ec;
  if (code == 0) fs::rename(fresh, ready, ec);
  if (code != 0 || ec)
    co_return Error(ErrorKind::internal, fmt::format("qemu-img ended with {} for {}", code, ready));
  co_return ready;
}

Result<void> copy_overlay(const Settings& settings, const std::string& from,
                          const std::string& to) {
  std::error_code ec;
  fs::copy_file(from, to, fs::copy_options::overwrite_existing, ec);
  if (ec) return Error(ErrorKind::internal, "cannot make " + to + ": " + ec.message());
  ::chmod(to.c_str(), 0600);
  return give_to_qemu(settings, to);
}

/// Kernel, initrd and disks of @p spec, every one there and readable by QEMU.
Result<void> find_files(const Host& host, const wire::VmSpec& spec, const VmFiles& files,
                        DomainSpec& domain) {
  const Settings& settings = host.settings;
  auto kernel = blob_path(settings, spec.kernel_digest, "kernel");
  if (!kernel) return kernel.error();
  auto initrd = blob_path(settings, spec.initrd_digest, "initrd");
  if (!initrd) return initrd.error();
  auto image = blob_path(settings, spec.image_digest, "runtime image");
  if (!image) return image.error();
  auto scratch = blob_path(settings, spec.scratch_digest, "scratch template");
  if (!scratch) return scratch.error();
  domain.kernel = *kernel;
  domain.initrd = *initrd;
  domain.disks = {{msg::disk::image, *image, "raw", true},
                  {msg::disk::scratch, files.overlay(), "qcow2", false}};
  if (spec.kind != "build") {
    const std::string artifact = artifact_path(settings, spec.artifact_digest);
    const auto whole = host.artifacts.check(artifact, spec.artifact_digest);
    if (!whole && whole.error().kind() != ErrorKind::not_found)  // told with the other disks, below
      return Error(
          whole.error().kind(),
          fmt::format("the artifact of this app cannot be booted: {}. A restart without the cache "
                      "(karreg restart --without-cache) builds it anew",
                      whole.error().message()));
    domain.disks.push_back({msg::disk::artifact, artifact, "raw", true});
  } else {
    const std::string folder = build_folder(settings, spec.build_id);
    domain.disks.push_back({msg::disk::source, folder + "/source.tar", "raw", true});
    domain.disks.push_back({msg::disk::cache, cache_path(settings, spec.app_id), "raw", false});
    domain.disks.push_back({msg::disk::output, folder + "/output.img", "raw", false});
    // A build ends with a reason; an app had better wait than lose what it writes.
    for (auto& disk : domain.disks) disk.full_is_error = !disk.read_only;
  }
  for (const auto& path : {domain.kernel, domain.initrd, *scratch}) {
    auto readable = check_readable_by_qemu(settings, path);
    if (!readable) return readable;
  }
  for (const auto& disk : domain.disks) {
    if (!fs::exists(disk.path))
      return Error(ErrorKind::not_found,
                   fmt::format("the {} disk {} is missing", disk.serial, disk.path));
    auto given = disk.read_only ? ok() : give_to_qemu(settings, disk.path);
    auto readable = given ? check_readable_by_qemu(settings, disk.path) : given;
    if (!readable) return readable.error().within("the " + disk.serial + " disk");
  }
  return ok();
}

awaitable<Result<std::string>> start_network(const Settings& settings, const wire::VmSpec& spec,
                                             const VmFiles& files) {
  // Nothing comes in to a build or a job; they have no address.
  const bool inbound = spec.kind == "run";
  const auto ports = inbound_ports(spec.run.port);
  Result<void> network = Error(ErrorKind::internal, "no attempt was made");
  for (int attempt = 0; attempt < network_attempts; ++attempt) {
    std::string ip;
    if (inbound) {
      auto free = free_address(settings.address_prefix, ports);
      if (!free) co_return free.error();
      ip = *free;
    }
    network = co_await start_passt(settings, files, ip, ports, is_confined(settings, spec.kind));
    if (network) co_return inbound ? fmt::format("{}:{}", ip, spec.run.port) : std::string();
    // Somebody may have taken the address between the look and the bind: another one, then.
    if (network.error().kind() != ErrorKind::conflict) break;
  }
  co_return network.error();
}
}  // namespace

awaitable<Result<std::string>> prepare_domain(Host& host, const wire::VmSpec& spec,
                                              const VmFiles& files, std::string& address) {
  const auto& settings = host.settings;
  auto overlay = co_await overlay_of(settings, spec.scratch_digest);
  if (!overlay) co_return overlay.error();
  DomainSpec domain;
  auto find = [&]() -> Result<void> {
    auto copied = copy_overlay(settings, *overlay, files.overlay());
    return copied ? find_files(host, spec, files, domain) : copied;
  };
  auto found = co_await offload(host.pool, find);
  if (!found) co_return found.error();
  auto network = co_await start_network(settings, spec, files);
  if (!network) co_return network.error();
  address = *network;
  domain.name = Vm::domain_name(spec.instance_id);
  domain.kvm = host.kvm;
  domain.memory_mb = spec.memory_mb;
  // Emulated processors cost a host thread each and gain nothing on the small machines where
  // emulation is used; with one, the kernel can skip timer probes too.
  domain.vcpus = host.kvm ? spec.vcpus : 1;
  domain.command_line = kernel_command_line(host.kvm, domain.vcpus);
  domain.channel_socket = files.channel();
  domain.console_log = files.console();
  domain.network_socket = files.network();
  domain.mac = guest_mac;
  co_return domain_xml(domain);
}

}  // namespace karreg::agent
