// Python: requirements.txt, pyproject.toml, manage.py, or one of app.py, main.py, wsgi.py.
//   install  a virtual environment in /app/.venv: `pip install -r requirements.txt`; without that
//            file pyproject.toml: `pip install .` with a [build-system], else its [project]
//            dependencies. Without either the system's Python runs the app.
//   build    CC_BUILD_COMMAND; then every file is compiled, since /app is read-only when the app
//   runs. start    manage.py (Django), CC_PYTHON_MODULE, wsgi.py, app.py, main.py, server.py,
//   run.py: under
//            gunicorn or uvicorn when it is a dependency, else the file itself.
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "builder/languages/table.hpp"
#include "builder/shell_line.hpp"
#include "common/text.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr const char* project_file = "pyproject.toml";
constexpr const char* requirements_file = "requirements.txt";
constexpr const char* venv_python = "/app/.venv/bin/python";
constexpr const char* system_python = "/usr/bin/python3";
constexpr const char* bind = "0.0.0.0:8080";
constexpr std::array<const char*, 4> script_files = {"app.py", "main.py", "server.py", "run.py"};

/// Where the dependencies come from, and their names in lower case with '-' for '_' and '.'.
struct Dependencies {
  std::set<std::string> names;
  std::vector<std::string> install;  ///< arguments of `pip install`; empty: there are none
  std::string reason;
  bool has(const char* name) const { return names.contains(name); }
};

/// "Flask[async]>=2 ; python_version > '3'" -> "flask"; empty for options and comments.
std::string distribution_name(const std::string& requirement) {
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

Result<Dependencies> from_requirements(const SourceTree& tree) {
  auto text = tree.read(requirements_file, max_inspected_bytes);
  if (!text) return Error(ErrorKind::invalid, text.error().message());
  Dependencies found;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    found.names.insert(distribution_name(std::string(rest.substr(0, end))));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  found.names.erase("");
  found.install = {"-r", requirements_file};
  found.reason = requirements_file;
  return found;
}

Result<Dependencies> from_project(const SourceTree& tree) {
  auto text = tree.read(project_file, max_inspected_bytes);
  if (!text) return Error(ErrorKind::invalid, text.error().message());
  toml::table table;
  try {
    table = toml::parse(*text);
  } catch (const toml::parse_error& e) {
    return Error(ErrorKind::invalid, std::string(project_file) + ", line " +
                                         std::to_string(e.source().begin.line) + ", column " +
                                         std::to_string(e.source().begin.column) + ": " +
                                         std::string(e.description()));
  }
  Dependencies found;
  if (const toml::array* listed = table["project"]["dependencies"].as_array()) {
    for (const toml::node& node : *listed) {
      const auto requirement = node.value_exact<std::string>();
      if (!requirement)
        return Error(ErrorKind::invalid, std::string(project_file) + ", line " +
                                             std::to_string(node.source().begin.line) +
                                             ": project.dependencies must be a list of texts.");
      found.names.insert(distribution_name(*requirement));
      found.install.push_back(*requirement);
    }
    found.reason = std::string("dependencies of ") + project_file;
  }
  if (table.contains("build-system")) {
    found.install = {"."};
    found.reason = std::string("build-system of ") + project_file;
  }
  return found;
}

Result<Dependencies> dependencies(const SourceTree& tree) {
  if (tree.has_file(requirements_file)) return from_requirements(tree);
  if (tree.has_file(project_file)) return from_project(tree);
  return Dependencies{};
}

/// Whether a line of @p text begins with @p name and an assignment: the object that a server loads.
bool defines(const std::string& text, const std::string& name) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (!line.starts_with(name)) continue;
    const auto next = line.find_first_not_of(" \t", name.size());
    if (next != std::string_view::npos && (line[next] == '=' || line[next] == ':') &&
        line.substr(next, 2) != "==")
      return true;
  }
  return false;
}

Start served(bool asynchronous, const std::string& module, const std::string& why) {
  if (asynchronous)
    return {{"/app/.venv/bin/uvicorn", "--host", "0.0.0.0", "--port", "8080", module},
            "uvicorn " + module + " (" + why + ")"};
  return {{"/app/.venv/bin/gunicorn", "--bind", bind, module},
          "gunicorn " + module + " (" + why + ")"};
}

class Starter {
 public:
  Starter(const Inspection& about, const Dependencies& dependencies)
      : about_(about),
        dependencies_(dependencies),
        python_(dependencies.install.empty() ? system_python : venv_python) {}

  Result<Start> start() const {
    if (auto module = about_.settings.variable("CC_PYTHON_MODULE")) return of_module(*module);
    if (about_.tree.has_file("manage.py")) return of_django();
    if (about_.tree.has_file("wsgi.py")) return of_wsgi();
    for (const char* file : script_files)
      if (about_.tree.has_file(file)) return of_script(file);
    return Error(
        ErrorKind::invalid,
        "Nothing says how to start this app: there is no Procfile, manage.py, wsgi.py, "
        "app.py, main.py, server.py or run.py. Add a Procfile with a line like `web: python "
        "your_file.py`, or set CC_RUN_COMMAND.");
  }

 private:
  bool has_server() const { return dependencies_.has("gunicorn") || dependencies_.has("uvicorn"); }

  Error no_server(const std::string& what) const {
    return {ErrorKind::invalid,
            what +
                " needs a server, and neither gunicorn nor uvicorn is among the "
                "dependencies. Add gunicorn to requirements.txt, or set "
                "CC_RUN_COMMAND."};
  }

  Result<Start> of_module(const std::string& module) const {
    if (!has_server()) return no_server("CC_PYTHON_MODULE=" + module);
    return served(!dependencies_.has("gunicorn"), module, "CC_PYTHON_MODULE");
  }

  Result<Start> of_django() const {
    for (const Entry& entry : about_.tree.list(""))
      if (entry.kind == EntryKind::folder && has_server() &&
          about_.tree.has_file(entry.name +
                               (dependencies_.has("gunicorn") ? "/wsgi.py" : "/asgi.py")))
        return dependencies_.has("gunicorn")
                   ? served(false, entry.name + ".wsgi", "manage.py and " + entry.name + "/wsgi.py")
                   : served(true, entry.name + ".asgi:application",
                            "manage.py and " + entry.name + "/asgi.py");
    return Start{
        {python_, "manage.py", "runserver", "--noreload", bind},
        "python manage.py runserver (manage.py; Django's development server: add gunicorn to "
        "requirements.txt for more)"};
  }

  Result<Start> of_wsgi() const {
    auto text = about_.tree.read("wsgi.py", max_inspected_bytes);
    if (!text) return Error(ErrorKind::invalid, text.error().message());
    if (!dependencies_.has("gunicorn")) {
      if (text->find("__main__") != std::string::npos)
        return Start{{python_, "wsgi.py"}, "python wsgi.py (wsgi.py)"};
      return no_server("wsgi.py");
    }
    return served(false, defines(*text, "app") ? "wsgi:app" : "wsgi:application", "wsgi.py");
  }

  Result<Start> of_script(const std::string& file) const {
    auto text = about_.tree.read(file, max_inspected_bytes);
    if (!text) return Error(ErrorKind::invalid, text.error().message());
    const std::string module = file.substr(0, file.find('.'));
    for (const char* object : {"app", "application"}) {
      if (!defines(*text, object)) continue;
      const std::string target = module + ":" + object;
      const bool asynchronous = text->find("FastAPI(") != std::string::npos ||
                                text->find("Starlette(") != std::string::npos;
      if (asynchronous && dependencies_.has("uvicorn"))
        return served(true, target, file + " defines " + object);
      if (!asynchronous && dependencies_.has("gunicorn"))
        return served(false, target, file + " defines " + object);
      if (dependencies_.has("flask") && text->find("Flask(") != std::string::npos &&
          text->find("__main__") == std::string::npos)
        return Start{
            {"/app/.venv/bin/flask", "--app", target, "run", "--host", "0.0.0.0", "--port", "8080"},
            "flask run (" + file +
                "; Flask's development server: add gunicorn to requirements.txt for more)"};
    }
    return Start{{python_, file}, "python " + file + " (the file is there)"};
  }

  const Inspection& about_;
  const Dependencies& dependencies_;
  std::string python_;
};

Result<LanguagePlan> plan(const Inspection& about) {
  auto needed = dependencies(about.tree);
  if (!needed) return needed.error();

  LanguagePlan result;
  result.tool = needed->install.empty() ? "none" : "pip";
  result.env = {{"PYTHONUNBUFFERED", "1"}, {"PYTHONDONTWRITEBYTECODE", "1"}};
  if (!needed->install.empty()) {
    std::string arguments;
    for (const std::string& argument : needed->install) arguments += " " + shell_quote(argument);
    // The system's pip works into the environment, so that no pip ships with the app.
    result.steps.push_back({"install",
                            "python3 -m venv --without-pip /app/.venv\n"
                            "pip3 --python /app/.venv/bin/python install --no-compile --no-input "
                            "--disable-pip-version-check" +
                                arguments});
    result.env["VIRTUAL_ENV"] = "/app/.venv";
    result.env["PATH"] = "/app/.venv/bin:/usr/local/bin:/usr/bin:/bin";
    result.reasons.push_back("Install: pip into /app/.venv (" + needed->reason + ").");
  }
  for (const char* other : {"Pipfile", "poetry.lock", "uv.lock"})
    if (about.tree.has_file(other))
      result.reasons.push_back(
          std::string(other) + " was seen and is not used: pip installs from " +
          (needed->reason.empty() ? "requirements.txt or pyproject.toml" : needed->reason) + ".");
  if (about.build_command) {
    result.steps.push_back({"build", *about.build_command});
    result.reasons.push_back("Build: " + *about.build_command + " (CC_BUILD_COMMAND).");
  }
  // unchecked-hash: compiled files stay valid whatever the packing does to times.
  if (!result.steps.empty())
    result.steps.push_back(
        {"compile",
         "# a file that this Python cannot compile fails when it is used, not here\n"
         "python3 -m compileall -q --invalidation-mode unchecked-hash /app || true"});
  result.start = Starter(about, *needed).start();
  return result;
}

std::optional<std::string> detect(const SourceTree& tree, const AppSettings&) {
  for (const char* file :
       {requirements_file, project_file, "manage.py", "wsgi.py", "app.py", "main.py"})
    if (tree.has_file(file)) return file;
  return std::nullopt;
}

}  // namespace

Language python() {
  return {"python", "Python",
          "requirements.txt, pyproject.toml, manage.py, wsgi.py, app.py or main.py", detect, plan};
}

}  // namespace karreg::builder::languages_of
