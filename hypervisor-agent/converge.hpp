#pragma once
/// What an agent does about the difference between the VMs that should be and those that are. Pure.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/wire/host.hpp"

namespace karreg::agent {

/// One step, with its reason for the log.
struct Step {
  enum class Kind {
    create,  ///< desired and absent: boot it
    stop,    ///< exists and not desired: stop gracefully, then forget
  };
  Kind kind;
  std::string instance_id;
  std::string reason;
  bool operator==(const Step&) const = default;
};

/// @p existing maps the VMs this agent knows (in whatever phase, ended ones included) to whether
/// their stop has begun. Applying the steps and asking again gives none.
std::vector<Step> converge(const wire::HostDesired& desired,
                           const std::map<std::string, bool>& existing);

}  // namespace karreg::agent
