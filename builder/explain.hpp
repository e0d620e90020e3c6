#pragma once
/// `karreg-builder explain`: the plan for a folder or a bare repository on this machine.

#include <filesystem>

#include "builder/language.hpp"
#include "common/error.hpp"
#include "common/wire/plan.hpp"

namespace karreg::builder {

/// The plan for @p where: a folder as it stands, or HEAD of a bare repository.
Result<wire::BuildPlan> explain(const std::filesystem::path& where, const AppSettings& settings);

}  // namespace karreg::builder
