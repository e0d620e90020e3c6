#pragma once
/// Enumerators of the core as the database spells them.

#include <array>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "scheduler/core/world.hpp"

namespace karreg::scheduler {

template <class E>
struct Names;

template <>
struct Names<DeploymentState> {
  static constexpr std::array<std::string_view, 4> text = {"WIP", "OK", "FAIL", "CANCELLED"};
};
template <>
struct Names<Phase> {
  static constexpr std::array<std::string_view, 7> text = {
      "queued", "building", "releasing", "starting", "switching", "draining", "ended"};
};
template <>
struct Names<Action> {
  static constexpr std::array<std::string_view, 4> text = {"DEPLOY", "UNDEPLOY", "UPSCALE",
                                                           "DOWNSCALE"};
};
template <>
struct Names<BuildState> {
  static constexpr std::array<std::string_view, 7> text = {
      "queued", "planning", "prepared", "running", "built", "succeeded", "failed"};
};
template <>
struct Names<InstanceKind> {
  static constexpr std::array<std::string_view, 3> text = {"run", "build", "job"};
};
template <>
struct Names<JobKind> {
  static constexpr std::array<std::string_view, 3> text = {"release", "cron", "task"};
};
template <>
struct Names<RollState> {
  static constexpr std::array<std::string_view, 4> text = {"running", "done", "stopped",
                                                           "cancelled"};
};
template <>
struct Names<RollStep> {
  static constexpr std::array<std::string_view, 6> text = {"waiting", "deploying", "done",
                                                           "skipped", "failed",    "untouched"};
};
template <>
struct Names<JobState> {
  static constexpr std::array<std::string_view, 6> text = {"queued", "running",   "succeeded",
                                                           "failed", "cancelled", "skipped"};
};
template <>
struct Names<Routed> {
  static constexpr std::array<std::string_view, 3> text = {"no", "yes", "draining"};
};

template <>
struct Names<Sleep> {
  static constexpr std::array<std::string_view, 3> text = {"awake", "asleep", "waking"};
};

/// The database's word for @p value.
template <class E>
std::string name_of(E value) {
  return std::string(Names<E>::text.at(static_cast<std::size_t>(value)));
}

/// The enumerator for the database's word; the schema's checks make others impossible.
template <class E>
E value_of(std::string_view name) {
  for (std::size_t i = 0; i < Names<E>::text.size(); ++i)
    if (Names<E>::text.at(i) == name) return static_cast<E>(i);
  throw std::runtime_error("unexpected word in the database: " + std::string(name));
}

}  // namespace karreg::scheduler
