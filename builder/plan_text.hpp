#pragma once
/// A build plan for people.

#include <string>

#include "common/wire/plan.hpp"

namespace karreg::builder {

/// @p plan as lines: type, steps, release, start, workers, cron, reasons, and what
/// stands in the way.
std::string rendered(const wire::BuildPlan& plan);

}  // namespace karreg::builder
