// Python: requirements.txt, pyproject.toml, Pipfile, setup.py, manage.py, or a file that starts.
//   install  a virtual environment in /app/.venv by uv, poetry, pdm, pipenv or pip
//            (python/dependencies.hpp has the order). Without dependencies the system's Python runs
//            the app.
//   build    CC_BUILD_COMMAND; then every file is compiled, so that no instance has to.
//   start    CC_PYTHON_MODULE, manage.py (Django), wsgi.py and asgi.py, the first file that makes
//   an
//            application object (Flask, FastAPI ...): under gunicorn or uvicorn when it is a
//            dependency; else app.py, main.py ... themselves, else the program that the project
//            installs.
#include <algorithm>
#include <array>

#include "builder/languages/python/dependencies.hpp"
#include "builder/languages/table.hpp"
#include "builder/manifest.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

using python::Dependencies;

constexpr std::array variables = {
    Variable{"CC_PYTHON_VERSION", "versions.python", "the version of Python: `3.13`, `>=3.11`"},
    Variable{"CC_PYTHON_MODULE", "python.module",
             "what gunicorn or uvicorn loads: `package.module:object`"},
    Variable{"CC_PYTHON_MANAGE_TASKS", "python.manage-tasks",
             "tasks of Django's manage.py that run before each start, with commas between them"},
    Variable{"CC_PIP_REQUIREMENTS_FILE", "python.requirements",
             "what pip installs from, in the place of requirements.txt"},
};

constexpr const char* venv_python = "/app/.venv/bin/python";
constexpr const char* system_python = "/usr/bin/python3";
constexpr const char* bind = "0.0.0.0:8080";
constexpr std::array<const char*, 9> script_files = {"app.py", "main.py",  "server.py",
                                                     "run.py", "start.py", "application.py",
                                                     "api.py", "bot.py",   "hello.py"};
constexpr std::array<const char*, 9> manifests = {
    "requirements.txt", "pyproject.toml", "Pipfile",   "uv.lock",     "poetry.lock",
    "pdm.lock",         "setup.py",       "setup.cfg", "Pipfile.lock"};

/// Frameworks whose objects a server loads.
struct Framework {
  const char* constructor;
  bool asynchronous;  ///< ASGI; else WSGI
};
constexpr std::array frameworks = {
    Framework{"Flask(", false},  Framework{"FastAPI(", true},  Framework{"Starlette(", true},
    Framework{"Quart(", true},   Framework{"Litestar(", true}, Framework{"falcon.App(", false},
    Framework{"Bottle(", false}, Framework{"FastHTML(", true}, Framework{"falcon.asgi.App(", true},
};

/// What a server loads, as a file assigns it at the beginning of a line.
struct Application {
  std::string object;
  const Framework* framework = nullptr;  ///< null: an object of a usual name
};

/// The name that @p line assigns to; empty: it assigns to none.
std::string_view assigned(std::string_view line) {
  const auto end =
      line.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
  if (end == 0 || end == std::string_view::npos) return {};
  const auto next = line.find_first_not_of(" \t", end);
  if (next == std::string_view::npos) return {};
  const bool assigns = (line[next] == '=' && line.substr(next, 2) != "==") || line[next] == ':';
  return assigns ? line.substr(0, end) : std::string_view();
}

std::optional<Application> application_in(std::string_view text) {
  std::optional<Application> usual;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::string_view name = assigned(line);
    if (name.empty() || line.substr(0, line.find(':')) == "else") continue;
    for (const Framework& each : frameworks)
      if (const auto at = line.find(each.constructor);
          at != std::string_view::npos && line.find('=') < at)
        return Application{std::string(name), &each};
    if (!usual && (name == "app" || name == "application"))
      usual = Application{std::string(name), nullptr};
  }
  return usual;
}

Start served(bool asynchronous, const std::string& module, const std::string& why,
             const std::string& folder = "") {
  std::vector<std::string> command;
  if (asynchronous)
    command = {"/app/.venv/bin/uvicorn", "--host", "0.0.0.0", "--port", "8080"};
  else
    command = {"/app/.venv/bin/gunicorn", "--bind", bind};
  if (!folder.empty()) {
    command.emplace_back(asynchronous ? "--app-dir" : "--chdir");
    command.push_back(folder);
  }
  command.push_back(module);
  return {command, (asynchronous ? "uvicorn " : "gunicorn ") + module + " (" + why + ")"};
}

class Starter {
 public:
  Starter(const Inspection& about, const Dependencies& dependencies)
      : about_(about),
        tree_(about.tree),
        dependencies_(dependencies),
        python_(dependencies.installs() ? venv_python : system_python) {}

  Result<Start> start() const {
    if (auto module = about_.settings.find("CC_PYTHON_MODULE")) return of_module(*module);
    if (tree_.has_file("manage.py")) return of_django();
    for (const char* file : {"wsgi.py", "asgi.py"})
      if (tree_.has_file(file)) return of_entry(file);
    if (auto found = of_sources()) return *found;
    for (const char* file : script_files)
      if (tree_.has_file(file)) return of_file(file);
    for (const Entry& entry : tree_.list(""))
      if (entry.kind == EntryKind::folder && tree_.has_file(entry.name + "/__main__.py"))
        return Start{{python_, "-m", entry.name},
                     "python -m " + entry.name + " (" + entry.name + "/__main__.py)"};
    if (dependencies_.scripts.size() == 1) {
      const std::string& script = dependencies_.scripts.front();
      return Start{{"/app/.venv/bin/" + script}, script + " (scripts of pyproject.toml)"};
    }
    return Error(
        ErrorKind::invalid,
        "Nothing says how to start this app: there is no Procfile, manage.py, wsgi.py, "
        "app.py, main.py, server.py or run.py. Add a Procfile with a line like `web: python "
        "your_file.py`, or set CC_RUN_COMMAND.");
  }

  const std::string& python() const { return python_; }

 private:
  bool has_server() const { return dependencies_.has("gunicorn") || has_uvicorn(); }
  bool has_uvicorn() const {
    return dependencies_.has("uvicorn") || dependencies_.has("python-fasthtml");
  }

  Error no_server(const std::string& what) const {
    return {ErrorKind::invalid,
            what +
                " needs a server, and neither gunicorn nor uvicorn is among the "
                "dependencies. Add gunicorn to requirements.txt, or set "
                "CC_RUN_COMMAND."};
  }

  Result<Start> of_module(const Given& module) const {
    if (!has_server()) return no_server(module.origin + "=" + module.value);
    return served(!dependencies_.has("gunicorn"), module.value, module.origin);
  }

  Result<Start> of_django() const {
    for (const Entry& entry : tree_.list(""))
      if (entry.kind == EntryKind::folder && has_server() &&
          tree_.has_file(entry.name + (dependencies_.has("gunicorn") ? "/wsgi.py" : "/asgi.py")))
        return dependencies_.has("gunicorn")
                   ? served(false, entry.name + ".wsgi", "manage.py and " + entry.name + "/wsgi.py")
                   : served(true, entry.name + ".asgi:application",
                            "manage.py and " + entry.name + "/asgi.py");
    return Start{
        {python_, "manage.py", "runserver", "--noreload", bind},
        "python manage.py runserver (manage.py; Django's development server: add gunicorn to "
        "requirements.txt for more)"};
  }

  Result<Start> of_entry(const std::string& file) const {
    auto text = tree_.read(file, max_inspected_bytes);
    if (!text) return Error(ErrorKind::invalid, text.error().message());
    const bool asynchronous = file == "asgi.py";
    if (asynchronous ? !has_uvicorn() : !dependencies_.has("gunicorn")) {
      if (text->find("__main__") != std::string::npos) return of_file(file);
      return no_server(file);
    }
    const auto found = application_in(*text);
    return served(asynchronous,
                  file.substr(0, file.find('.')) + ":" + (found ? found->object : "application"),
                  file);
  }

  Start of_file(const std::string& file) const {
    return {{python_, file}, "python " + file + " (the file is there)"};
  }

  /// The first file that makes an application: those of usual names, the others of the root, those
  /// of folders.
  std::optional<Start> of_sources() const {
    for (const char* file : script_files)
      if (tree_.has_file(file)) return of_script(file, true);
    for (const Entry& entry : tree_.list(""))
      if (entry.kind == EntryKind::file && entry.name.ends_with(".py"))
        if (auto found = of_script(entry.name, false)) return found;
    for (const Entry& folder : tree_.list("")) {
      if (folder.kind != EntryKind::folder || folder.name.starts_with(".")) continue;
      for (const Entry& entry : tree_.list(folder.name))
        // A __main__.py is started as its package, below.
        if (entry.kind == EntryKind::file && entry.name.ends_with(".py") &&
            entry.name != "__main__.py")
          if (auto found = of_script(join_path(folder.name, entry.name), false)) return found;
    }
    return std::nullopt;
  }

  /// How the application of @p file is served; nothing when it makes none. Objects of usual names
  /// count in @p usual files alone: elsewhere they may be anything.
  std::optional<Start> of_script(const std::string& file, bool usual) const {
    const auto text = tree_.read(file, max_inspected_bytes);
    if (!text) return std::nullopt;
    const auto found = application_in(*text);
    if (!found || (found->framework == nullptr && !usual)) return std::nullopt;
    // src/main.py is the module main of the folder src, unless src is a package.
    const auto slash = file.rfind('/');
    std::string folder = slash == std::string::npos ? "" : file.substr(0, slash);
    if (!folder.empty() && tree_.has_file(folder + "/__init__.py")) folder.clear();
    std::string module = file.substr(folder.empty() ? 0 : folder.size() + 1);
    module.erase(module.size() - 3);
    std::ranges::replace(module, '/', '.');
    if (module.ends_with(".__init__")) module.erase(module.size() - 9);
    const std::string target = module + ":" + found->object;
    const bool asynchronous = found->framework != nullptr && found->framework->asynchronous;
    const std::string why = file + " defines " + found->object;
    const bool starts_itself = text->find("__main__") != std::string::npos;
    if (asynchronous && has_uvicorn()) return served(true, target, why, folder);
    if (asynchronous && dependencies_.has("fastapi") && !starts_itself)
      return Start{{"/app/.venv/bin/fastapi", "run", file, "--port", "8080"},
                   "fastapi run " + file + " (" + why + ")"};
    if (!asynchronous && dependencies_.has("gunicorn")) return served(false, target, why, folder);
    if (dependencies_.has("flask") && found->framework != nullptr && !asynchronous &&
        !starts_itself && folder.empty())
      return Start{
          {"/app/.venv/bin/flask", "--app", target, "run", "--host", "0.0.0.0", "--port", "8080"},
          "flask run (" + file +
              "; Flask's development server: add gunicorn to requirements.txt for more)"};
    if (usual || starts_itself) return of_file(file);
    return std::nullopt;
  }

  const Inspection& about_;
  const SourceTree& tree_;
  const Dependencies& dependencies_;
  std::string python_;
};

/// "python-3.11.4" of Heroku's runtime.txt.
std::optional<VersionWish> wish_of(const SourceTree& tree, const Dependencies& needed) {
  std::string line = first_line(tree, ".python-version");
  if (!line.empty()) return VersionWish{line, ".python-version"};
  line = first_line(tree, "runtime.txt");
  if (line.starts_with("python-")) return VersionWish{line.substr(7), "runtime.txt"};
  if (auto wish = tool_version(tree, {"python"})) return wish;
  return needed.wish;
}

/// @p install, so that the app and what is installed find the Python modules among the packages of
/// Debian.
std::string with_modules_of_debian(std::string install) {
  constexpr std::string_view makes = "python3 -m venv --without-pip /app/.venv";
  if (const auto at = install.find(makes); at != std::string::npos)
    install.replace(at, makes.size(),
                    "python3 -m venv --system-site-packages --without-pip /app/.venv");
  // The other tools make theirs themselves.
  return install +
         "\nsed -i 's/^include-system-site-packages = .*/include-system-site-packages = true/' "
         "/app/.venv/pyvenv.cfg";
}

Result<LanguagePlan> plan(const Inspection& about) {
  auto needed = python::dependencies_of(about);
  if (!needed) return needed.error();

  LanguagePlan result;
  result.tool = needed->tool;
  result.env = {{"PYTHONUNBUFFERED", "1"}, {"PYTHONDONTWRITEBYTECODE", "1"}};
  choose_version(result, about, "python", "Python", "CC_PYTHON_VERSION",
                 wish_of(about.tree, *needed));
  if (needed->installs()) {
    result.step("install", about.packages.has_beginning("python3-")
                               ? with_modules_of_debian(needed->command)
                               : needed->command);
    result.env["VIRTUAL_ENV"] = "/app/.venv";
    result.env["PATH"] = "/app/.venv/bin:/usr/local/bin:/usr/bin:/bin";
    result.reason("Install: " + needed->tool + " into /app/.venv (" + needed->reason + ").");
  }
  for (const std::string& other : needed->unused)
    result.reason(other + " was seen and is not used: " + needed->tool + " installs from " +
                  (needed->reason.empty() ? "requirements.txt or pyproject.toml" : needed->reason) +
                  ".");
  add_build_command(result, about);
  // unchecked-hash: compiled files stay valid whatever the packing does to times.
  if (!result.steps.empty())
    result.step("compile",
                "# a file that this Python cannot compile fails when it is used, not here\n"
                "python3 -m compileall -q --invalidation-mode unchecked-hash /app || true");
  const Starter starter(about, *needed);
  result.start = starter.start();
  if (const auto tasks = about.settings.find("CC_PYTHON_MANAGE_TASKS")) {
    std::string_view rest = tasks->value;
    while (!rest.empty()) {
      const auto comma = rest.find(',');
      const std::string task = trimmed(rest.substr(0, comma));
      rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
      if (task.empty()) continue;
      result.before_start +=
          (result.before_start.empty() ? "" : " && ") + starter.python() + " manage.py " + task;
    }
    result.reason("Before each start: manage.py " + tasks->value + " (" + tasks->origin + ").");
  }
  return result;
}

std::optional<Match> detect(const Inspection& about) {
  for (const char* file : manifests) {
    if (!about.tree.has_file(file)) continue;
    if (about.start) return Match{file};
    const auto needed = python::dependencies_of(about);
    const bool starts = !needed || Starter(about, *needed).start().has_value();
    return Match{file, starts ? Evidence::manifest : Evidence::companion};
  }
  for (const char* file : {"manage.py", "wsgi.py", "asgi.py"})
    if (about.tree.has_file(file)) return Match{file, Evidence::sources};
  for (const char* file : script_files)
    if (about.tree.has_file(file)) return Match{file, Evidence::sources};
  return std::nullopt;
}

}  // namespace

Language python() {
  return {
      "python",
      "Python",
      "requirements.txt, pyproject.toml, Pipfile, setup.py, manage.py, wsgi.py, app.py or main.py",
      variables,
      detect,
      plan};
}

}  // namespace karreg::builder::languages_of
