#include "hypervisor-agent/converge.hpp"

namespace karreg::agent {

namespace {

using Kind = Step::Kind;

/// The step for an instance that this process has no object for.
std::optional<Step> first_sight(const std::string& id, const Seen& seen, bool have_desired,
                                bool wanted) {
  switch (seen.books) {
    case Books::started:
      if (seen.domain) return Step{Kind::adopt, id, "it runs since before this agent started"};
      return Step{Kind::mourn, id, "it ended while no agent watched"};
    case Books::ended:
      if (seen.domain) return Step{Kind::destroy, id, "its end is on record and it still runs"};
      return Step{Kind::recall, id, "its end is on record"};
    case Books::scraps:
    case Books::none:
      if (seen.domain && have_desired) return Step{Kind::destroy, id, "nobody knows it"};
      if (seen.books == Books::scraps && have_desired)
        return Step{Kind::sweep, id, "its specification is not readable"};
      if (wanted && !seen.domain) return Step{Kind::create, id, "desired and absent"};
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Step> next_step(const std::string& id, const Seen& seen, bool have_desired,
                              bool wanted) {
  switch (seen.life) {
    case Life::unknown:
      return first_sight(id, seen, have_desired, wanted);
    case Life::live:
      if (have_desired && !wanted) return Step{Kind::stop, id, "no longer desired"};
      return std::nullopt;
    case Life::stopping:
      return std::nullopt;
    case Life::ended:
      if (have_desired && !wanted) return Step{Kind::forget, id, "over and no longer desired"};
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::create:
      return "create";
    case Kind::adopt:
      return "adopt";
    case Kind::mourn:
      return "mourn";
    case Kind::recall:
      return "recall";
    case Kind::stop:
      return "stop";
    case Kind::forget:
      return "forget";
    case Kind::destroy:
      return "destroy";
    case Kind::sweep:
      return "sweep";
  }
  return "?";
}

std::vector<Step> converge(const wire::HostDesired* desired, const World& world) {
  std::set<std::string> wanted;
  if (desired != nullptr)
    for (const auto& vm : desired->vms) wanted.insert(vm.instance_id);
  std::vector<Step> steps;
  std::vector<Step> creations;
  for (const auto& [id, seen] : world)
    if (auto step = next_step(id, seen, desired != nullptr, wanted.contains(id)))
      (step->kind == Kind::create ? creations : steps).push_back(std::move(*step));
  if (desired != nullptr)
    for (const auto& vm : desired->vms)
      if (!world.contains(vm.instance_id) && wanted.erase(vm.instance_id) > 0)
        creations.push_back({Kind::create, vm.instance_id, "desired and absent"});
  steps.insert(steps.end(), creations.begin(), creations.end());
  return steps;
}

}  // namespace karreg::agent
