#include "hypervisor-agent/settings.hpp"

#include <unistd.h>

#include <thread>

namespace karreg::agent {

std::vector<Setting> declared_settings() {
  std::vector<Setting> all = {
      {"data.dir", "the platform's data folder", "", true},
      {"agent.host_id", "name of this host, unique in the platform", "host-1", false},
      {"agent.images_dir", "the image store made by images/build", "", true},
      {"agent.libvirt_uri",
       "libvirt connection; \"embed\" is the agent's own driver under its state folder", "embed",
       false},
      {"agent.accelerator", "kvm, tcg, or auto: the faster of the two by a probe boot", "auto",
       false},
      {"agent.memory_mb", "memory for VMs, MiB; 0: three quarters of the machine", "0", false},
      {"agent.address_prefix", "first two numbers of the loopback addresses given to instances",
       "127.64", false},
      {"agent.qemu_user", "user that QEMU and passt run as when the agent is root", "libvirt-qemu",
       false},
      {"log.level", "debug, info, warn or error", "info", false},
  };
  for (auto& s : broker::settings()) all.push_back(std::move(s));
  return all;
}

Result<Settings> read_settings(const Config& config) {
  Settings s;
  s.host_id = config.text("agent.host_id");
  if (s.host_id.empty() ||
      s.host_id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos)
    return Error(ErrorKind::invalid, "setting agent.host_id = \"" + s.host_id +
                                         "\" must be lower-case letters, digits and dashes");
  s.data_dir = config.text("data.dir");
  s.state_dir = s.data_dir + "/agent";
  s.images_dir = config.text("agent.images_dir");
  s.libvirt_uri = config.text("agent.libvirt_uri");
  if (s.libvirt_uri == "embed") s.libvirt_uri = "qemu:///embed?root=" + s.state_dir + "/libvirt";
  s.accelerator = config.text("agent.accelerator");
  if (s.accelerator != "auto" && s.accelerator != "kvm" && s.accelerator != "tcg")
    return Error(ErrorKind::invalid,
                 "setting agent.accelerator = \"" + s.accelerator + "\" must be auto, kvm or tcg");
  auto memory = config.number("agent.memory_mb", 0, 64L * 1024 * 1024);
  if (!memory) return memory.error();
  const std::int64_t machine = static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES)) *
                               ::sysconf(_SC_PAGESIZE) / (1024 * 1024);
  s.memory_mb = *memory > 0 ? *memory : machine * 3 / 4;
  s.vcpus = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  s.address_prefix = config.text("agent.address_prefix");
  if (!s.address_prefix.starts_with("127."))
    return Error(ErrorKind::invalid, "setting agent.address_prefix = \"" + s.address_prefix +
                                         "\" must lie in 127.0.0.0/8, such as 127.64");
  s.qemu_user = config.text("agent.qemu_user");
  auto address = broker::address(config);
  if (!address) return address.error();
  s.broker = *address;
  s.log_level = config.text("log.level");
  return s;
}

}  // namespace karreg::agent
