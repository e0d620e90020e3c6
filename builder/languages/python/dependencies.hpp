#pragma once
/// What a Python app needs, and which tool installs it.

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "builder/language.hpp"

namespace karreg::builder::python {

struct Dependencies {
  std::string tool = "none";         ///< pip, uv, poetry, pdm, pipenv, none
  std::set<std::string> names;       ///< in lower case with '-' for '_' and '.'
  std::string command;               ///< fills /app/.venv; empty: there is nothing to install
  std::string reason;                ///< "requirements.txt"
  std::vector<std::string> unused;   ///< manifests that were seen and are not used
  std::optional<VersionWish> wish;   ///< what the manifest says about Python itself
  std::vector<std::string> scripts;  ///< programs that the project installs (project.scripts)

  bool has(const char* name) const { return names.contains(name); }
  bool installs() const { return !command.empty(); }
};

/// A lock file wins over a list of requirements: uv.lock, poetry.lock, pdm.lock, Pipfile,
/// requirements.txt, pyproject.toml, setup.py.
Result<Dependencies> dependencies_of(const Inspection& about);

}  // namespace karreg::builder::python
