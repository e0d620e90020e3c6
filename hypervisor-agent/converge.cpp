#include "hypervisor-agent/converge.hpp"

namespace karreg::agent {

std::vector<Step> converge(const wire::HostDesired& desired,
                           const std::map<std::string, bool>& existing) {
  std::vector<Step> steps;
  std::set<std::string> wanted;
  for (const auto& vm : desired.vms) wanted.insert(vm.instance_id);
  // Stops first: they free memory for what is to be created.
  for (const auto& [id, stopping] : existing)
    if (!wanted.contains(id) && !stopping)
      steps.push_back({Step::Kind::stop, id, "no longer desired"});
  for (const auto& vm : desired.vms)
    if (!existing.contains(vm.instance_id))
      steps.push_back({Step::Kind::create, vm.instance_id, "desired and absent"});
  return steps;
}

}  // namespace karreg::agent
