#pragma once
/// What an agent does about the difference between the VMs that should be and those that are. Pure.
///
/// The rules: what should be and is nowhere is created, once: an instance that ended is never
/// booted again under its name. What runs and is in the agent's books on disk is taken over after a
/// restart, whether it is still wanted or not; what the books call running and libvirt does not
/// know has failed meanwhile. What is not wanted is stopped gracefully and then forgotten. What
/// nobody knows is removed, but only once a desired state is there: before, nobody can say that it
/// should not exist.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/wire/host.hpp"

namespace karreg::agent {

/// What this process itself knows of an instance.
enum class Life {
  unknown,   ///< nothing: it is on disk or in libvirt only
  live,      ///< it boots or runs under our eyes
  stopping,  ///< its stop has begun
  ended,     ///< it is over, and its end is being reported
};

/// Whether an instance has a folder, and what that says.
enum class Books {
  none,     ///< no folder
  scraps,   ///< a folder without a readable specification
  started,  ///< a specification, and no end
  ended,    ///< a specification and how it ended
};

/// One instance as seen now.
struct Seen {
  Life life = Life::unknown;
  Books books = Books::none;
  bool domain = false;  ///< libvirt runs it
  bool operator==(const Seen&) const = default;
};

/// Instances by id.
using World = std::map<std::string, Seen>;

/// One step, with its reason for the log.
struct Step {
  enum class Kind {
    create,   ///< boot it
    adopt,    ///< take over a running VM
    mourn,    ///< report as failed: it ended while no agent watched
    recall,   ///< report its end again, as the books have it
    stop,     ///< stop gracefully
    forget,   ///< drop an ended instance and its folder
    destroy,  ///< end a domain that has no owner
    sweep,    ///< remove a folder that means nothing
  };
  Kind kind;
  std::string instance_id;
  std::string reason;
  bool operator==(const Step&) const = default;
};

std::string_view to_string(Step::Kind kind);

/// At most one step an instance; those that free memory come first. Applying the steps and asking
/// again ends after a few rounds with none. No desired state: @p desired is null.
std::vector<Step> converge(const wire::HostDesired* desired, const World& world);

}  // namespace karreg::agent
