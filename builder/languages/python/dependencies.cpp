#include "builder/languages/python/dependencies.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "builder/shell_line.hpp"
#include "builder/toml_file.hpp"
#include "common/text.hpp"

namespace karreg::builder::python {
namespace {

constexpr const char* project_file = "pyproject.toml";
constexpr const char* pipfile = "Pipfile";
/// The system's pip works into the environment, so that no pip ships with the app.
constexpr const char* pip_into_venv =
    "python3 -m venv --without-pip /app/.venv\n"
    "pip3 --python /app/.venv/bin/python install --no-compile --no-input "
    "--disable-pip-version-check";

/// "Flask[async]>=2 ; python_version > '3'" -> "flask"; empty for options and comments.
std::string distribution_name(std::string_view requirement) {
  std::string name;
  for (const char c : trimmed(requirement)) {
    const auto u = static_cast<unsigned char>(c);
    if (std::isalnum(u) != 0) {
      name += text::lower(c);
    } else if (c == '-' || c == '_' || c == '.') {
      if (name.empty()) return "";
      name += '-';
    } else {
      break;
    }
  }
  return name;
}

/// A tool of the package index, in an environment of its own beside the app's.
std::string with_tool(const std::string& tool, const std::string& command) {
  return "python3 -m venv /tmp/karreg-tools\n"
         "/tmp/karreg-tools/bin/pip install --quiet --no-input --disable-pip-version-check " +
         tool + "\n" + command;
}

Result<void> add_requirements(const SourceTree& tree, const std::string& file,
                              Dependencies& found) {
  auto text = tree.read(file, max_inspected_bytes);
  if (!text) return Error(ErrorKind::invalid, text.error().message());
  std::string_view rest = *text;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    found.names.insert(distribution_name(rest.substr(0, end)));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  found.names.erase("");
  return ok();
}

/// Texts of a list, or an error with its line.
Result<std::vector<std::string>> texts(const toml::array* list, const std::string& what) {
  std::vector<std::string> all;
  if (list == nullptr) return all;
  for (const toml::node& node : *list) {
    const auto text = node.value_exact<std::string>();
    if (!text)
      return Error(ErrorKind::invalid, std::string(project_file) + ", line " +
                                           std::to_string(node.source().begin.line) + ": " + what +
                                           " must be a list of texts.");
    all.push_back(*text);
  }
  return all;
}

/// What pyproject.toml says whoever installs from it.
struct Project {
  std::vector<std::string> requirements;
  bool builds = false;  ///< it has a [build-system]
};

Result<Project> read_project(const SourceTree& tree, Dependencies& found) {
  auto table = read_toml(tree, project_file);
  if (!table) return table.error();
  Project project;
  auto listed = texts((*table)["project"]["dependencies"].as_array(), "project.dependencies");
  if (!listed) return listed.error();
  project.requirements = std::move(*listed);
  for (const std::string& each : project.requirements) found.names.insert(distribution_name(each));
  if (const auto asked = (*table)["project"]["requires-python"].value<std::string>())
    found.wish = VersionWish{*asked, "requires-python of pyproject.toml"};
  if (const toml::table* poetry = (*table)["tool"]["poetry"]["dependencies"].as_table())
    for (const auto& [name, value] : *poetry) {
      if (name.str() != "python")
        found.names.insert(distribution_name(name.str()));
      else if (const auto asked = value.value<std::string>(); asked && !found.wish)
        found.wish = VersionWish{*asked, "python of [tool.poetry.dependencies]"};
    }
  for (const toml::table* scripts : {(*table)["project"]["scripts"].as_table(),
                                     (*table)["tool"]["poetry"]["scripts"].as_table()})
    if (scripts != nullptr)
      for (const auto& [name, value] : *scripts) found.scripts.emplace_back(name.str());
  project.builds = table->contains("build-system");
  return project;
}

Result<void> read_pipfile(const SourceTree& tree, Dependencies& found) {
  auto table = read_toml(tree, pipfile);
  if (!table) return table.error();
  if (const toml::table* packages = (*table)["packages"].as_table())
    for (const auto& [name, value] : *packages) found.names.insert(distribution_name(name.str()));
  for (const char* key : {"python_full_version", "python_version"})
    if (const auto asked = (*table)["requires"][key].value<std::string>())
      found.wish = VersionWish{*asked, std::string(key) + " of Pipfile"};
  return ok();
}

struct Locked {
  const char* lock_file;
  const char* tool;
  const char* command;
};
constexpr std::array lockers = {
    Locked{"uv.lock", "uv",
           "UV_PROJECT_ENVIRONMENT=/app/.venv UV_PYTHON=/usr/bin/python3 UV_PYTHON_DOWNLOADS=never "
           "UV_LINK_MODE=copy UV_CACHE_DIR=/cache/uv "
           "/tmp/karreg-tools/bin/uv sync --locked --no-dev --no-editable"},
    Locked{"poetry.lock", "poetry",
           "POETRY_VIRTUALENVS_IN_PROJECT=true POETRY_CACHE_DIR=/cache/poetry "
           "/tmp/karreg-tools/bin/poetry install --no-interaction --only main --no-root"},
    Locked{"pdm.lock", "pdm",
           "PDM_VENV_IN_PROJECT=1 PDM_CHECK_UPDATE=0 "
           "/tmp/karreg-tools/bin/pdm install --prod --no-editable --frozen-lockfile"},
};

}  // namespace

Result<Dependencies> dependencies_of(const Inspection& about) {
  const SourceTree& tree = about.tree;
  Dependencies found;
  const auto requirements = about.settings.find("CC_PIP_REQUIREMENTS_FILE");
  const std::string list = requirements ? requirements->value : "requirements.txt";
  if (requirements && !tree.has_file(list))
    return Error(ErrorKind::invalid,
                 requirements->origin + "=" + list + ": the app has no such file.");
  const auto choose = [&](std::string tool, std::string reason, std::string command) {
    if (found.tool != "none") return false;
    found.tool = std::move(tool);
    found.reason = std::move(reason);
    found.command = std::move(command);
    return true;
  };

  Project project;
  if (tree.has_file(project_file)) {
    auto read = read_project(tree, found);
    if (!read) return read.error();
    project = std::move(*read);
  }
  if (requirements) choose("pip", list, std::string(pip_into_venv) + " -r " + shell_quote(list));
  for (const Locked& each : lockers) {
    if (!tree.has_file(each.lock_file)) continue;
    const bool usable = tree.has_file(project_file);
    if (!usable || !choose(each.tool, each.lock_file, with_tool(each.tool, each.command)))
      found.unused.emplace_back(each.lock_file);
  }
  if (tree.has_file(pipfile)) {
    const bool locked = tree.has_file("Pipfile.lock");
    const std::string command = std::string(
                                    "PIPENV_VENV_IN_PROJECT=1 PIPENV_CACHE_DIR=/cache/pipenv "
                                    "/tmp/karreg-tools/bin/pipenv ") +
                                (locked ? "sync" : "install --skip-lock");
    if (!choose("pipenv", locked ? "Pipfile.lock" : pipfile, with_tool("pipenv", command)))
      found.unused.emplace_back(pipfile);
    else if (auto read = read_pipfile(tree, found); !read)
      return read.error();
  }
  if (tree.has_file(list)) {
    if (choose("pip", list, std::string(pip_into_venv) + " -r " + shell_quote(list)) ||
        found.reason == list) {
      if (auto read = add_requirements(tree, list, found); !read) return read.error();
    } else {
      found.unused.push_back(list);
    }
  }
  if (project.builds)
    choose("pip", "build-system of pyproject.toml", std::string(pip_into_venv) + " .");
  if (!project.requirements.empty()) {
    std::string arguments;
    for (const std::string& each : project.requirements) arguments += " " + shell_quote(each);
    choose("pip", "dependencies of pyproject.toml", pip_into_venv + arguments);
  }
  if (tree.has_file("setup.py")) choose("pip", "setup.py", std::string(pip_into_venv) + " .");
  return found;
}

}  // namespace karreg::builder::python
