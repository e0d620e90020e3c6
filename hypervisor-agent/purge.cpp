#include "hypervisor-agent/purge.hpp"

#include <filesystem>

#include "hypervisor-agent/network.hpp"

namespace karreg::agent {

Result<int> purge(const Settings& settings, Hypervisor& hypervisor) {
  auto running = hypervisor.running();
  if (!running) return running.error();
  int ended = 0;
  for (const auto& domain : *running) {
    if (!domain.starts_with("karreg-")) continue;
    auto destroyed = hypervisor.destroy(domain);
    if (!destroyed) return destroyed.error();
    ++ended;
  }
  std::error_code ignored;
  const std::string folder = settings.state_dir + "/vms";
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    stop_passt(VmFiles(settings, entry.path().filename()));
  std::filesystem::remove_all(folder, ignored);
  std::filesystem::remove_all(settings.state_dir + "/s", ignored);
  std::filesystem::remove(settings.state_dir + "/desired.json", ignored);
  remove_libvirt_link(settings);
  return ended;
}

}  // namespace karreg::agent
