#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

TEST_CASE("requirements are installed into a virtual environment and everything is compiled") {
  const auto plan =
      plan_of({{"requirements.txt", "flask\n"}, {"app.py", "app = Flask(__name__)\n"}});
  CHECK(plan.runtime == "python");
  CHECK(plan.tool == "pip");
  CHECK(step_names(plan) == "install|compile");
  CHECK(command_of(plan, "install") ==
        "python3 -m venv --without-pip /app/.venv\n"
        "pip3 --python /app/.venv/bin/python install --no-compile --no-input "
        "--disable-pip-version-check -r requirements.txt");
  CHECK(plan.env.at("PATH") == "/app/.venv/bin:/usr/local/bin:/usr/bin:/bin");
  CHECK(plan.reasons.front() == "Detected Python (requirements.txt).");
  CHECK(gives_reason(plan, "Install: pip into /app/.venv (requirements.txt)."));
}

TEST_CASE("a lone app.py runs on the system's Python without a build") {
  const auto plan = plan_of({{"app.py", "print(1)\n"}});
  CHECK(plan.tool == "none");
  CHECK(plan.steps.empty());
  CHECK(run_of(plan) == "/usr/bin/python3 app.py");
}

TEST_CASE("python: what is installed") {
  struct Case {
    std::string name, file, text, end;
  };
  const auto c = GENERATE(values<Case>({
      {"a build system installs the project", "pyproject.toml",
       "[build-system]\nrequires=[]\n[project]\nname='x'\ndependencies=['flask']\n", " ."},
      {"without one its dependencies", "pyproject.toml",
       "[project]\nname='x'\ndependencies=['flask>=2', \"a; python_version > '3'\"]\n",
       " 'flask>=2' 'a; python_version > '\\''3'\\'''"},
      {"tool settings alone install nothing", "pyproject.toml", "[tool.black]\nline-length=99\n",
       "(no step install)"},
  }));
  INFO(c.name);
  const auto plan = plan_of({{c.file, c.text}, {"main.py", ""}});
  const std::string install = command_of(plan, "install");
  CHECK(install.substr(install.size() - std::min(install.size(), c.end.size())) == c.end);
}

TEST_CASE("python: each tool installs what its lock file says, into the app's environment") {
  struct Case {
    std::string tool;
    Files files;
    std::string command, because;
  };
  const std::string project = "[project]\nname='x'\nversion='1'\ndependencies=['flask']\n";
  const std::string pipenv = "PIPENV_VENV_IN_PROJECT=1 PIPENV_CACHE_DIR=/cache/pipenv ";
  const std::string bin = "/tmp/karreg-tools/bin/";
  const auto c = GENERATE_COPY(values<Case>({
      {"uv",
       {{"pyproject.toml", project}, {"uv.lock", "version = 1\n"}},
       "UV_PROJECT_ENVIRONMENT=/app/.venv UV_PYTHON=/usr/bin/python3 UV_PYTHON_DOWNLOADS=never "
       "UV_LINK_MODE=copy UV_CACHE_DIR=/cache/uv " +
           bin + "uv sync --locked --no-dev --no-editable",
       "uv.lock"},
      {"poetry",
       {{"pyproject.toml", "[tool.poetry.dependencies]\nflask='*'\n"}, {"poetry.lock", ""}},
       "POETRY_VIRTUALENVS_IN_PROJECT=true POETRY_CACHE_DIR=/cache/poetry " + bin +
           "poetry install --no-interaction --only main --no-root",
       "poetry.lock"},
      {"pdm",
       {{"pyproject.toml", project}, {"pdm.lock", ""}},
       "PDM_VENV_IN_PROJECT=1 PDM_CHECK_UPDATE=0 " + bin +
           "pdm install --prod --no-editable --frozen-lockfile",
       "pdm.lock"},
      {"pipenv",
       {{"Pipfile", "[packages]\nflask='*'\n"}, {"Pipfile.lock", "{}"}},
       pipenv + bin + "pipenv sync",
       "Pipfile.lock"},
      {"pipenv",
       {{"Pipfile", "[packages]\nflask='*'\n"}},
       pipenv + bin + "pipenv install --skip-lock",
       "Pipfile"},
  }));
  INFO(c.tool << " by " << c.because);
  Files files = c.files;
  files["main.py"] = "";
  const auto plan = plan_of(files);
  CHECK(plan.runtime == "python");
  CHECK(plan.tool == c.tool);
  CHECK(step_names(plan) == "install|compile");
  CHECK(command_of(plan, "install") ==
        "python3 -m venv /tmp/karreg-tools\n" + bin +
            "pip install --quiet --no-input --disable-pip-version-check " + c.tool + "\n" +
            c.command);
  CHECK(gives_reason(plan, "Install: " + c.tool + " into /app/.venv (" + c.because + ")."));
  CHECK(run_of(plan) == "/app/.venv/bin/python main.py");
}

TEST_CASE("python: of several tools the one with a lock file installs, and a lock alone does not") {
  const Files both = {{"pyproject.toml", "[project]\nname='x'\n"},
                      {"uv.lock", ""},
                      {"poetry.lock", ""},
                      {"Pipfile", ""},
                      {"requirements.txt", "flask\n"},
                      {"main.py", ""}};
  CHECK(plan_of(both).tool == "uv");
  CHECK(plan_of(both, {{"CC_PIP_REQUIREMENTS_FILE", "requirements.txt"}}).tool == "pip");
  const auto alone =
      plan_of({{"poetry.lock", ""}, {"requirements.txt", "flask\n"}, {"main.py", ""}});
  CHECK(alone.tool == "pip");
  CHECK(gives_reason(alone, "Install: pip into /app/.venv (requirements.txt)."));
}

TEST_CASE("python: the dependencies of every tool say how it starts, and its file which Python") {
  const Files app = {{"app.py", "from flask import Flask\napp = Flask(__name__)\n"}};
  const auto with = [&](const Files& more) {
    Files files = app;
    for (const auto& [name, text] : more) files[name] = text;
    return plan_of(files);
  };
  const std::string start = "/app/.venv/bin/gunicorn --bind 0.0.0.0:8080 app:app";
  const auto poetry = with({{"pyproject.toml",
                             "[tool.poetry.dependencies]\npython='^3.11'\nflask='*'\n"
                             "gunicorn='*'\n"},
                            {"poetry.lock", ""}});
  CHECK(run_of(poetry) == start);
  CHECK(gives_reason(poetry,
                     "Version: Python 3.13 (python of [tool.poetry.dependencies] asks for "
                     "^3.11)."));
  const auto pipenv = with({{"Pipfile",
                             "[packages]\nflask='*'\ngunicorn='*'\n[requires]\n"
                             "python_version='3.11'\n"},
                            {"Pipfile.lock", "{}"}});
  CHECK(run_of(pipenv) == start);
  CHECK(gives_reason(pipenv, "Version: Python 3.11 (python_version of Pipfile asks for 3.11)."));
  const auto uv = with({{"pyproject.toml",
                         "[project]\nname='x'\nrequires-python='>=3.11,<3.12'\n"
                         "dependencies=['flask', 'gunicorn']\n"},
                        {"uv.lock", ""}});
  CHECK(run_of(uv) == start);
  CHECK(gives_reason(uv,
                     "Version: Python 3.11 (requires-python of pyproject.toml asks for "
                     ">=3.11,<3.12)."));
}

TEST_CASE("python: how it starts") {
  struct Case {
    std::string name;
    Files files;
    Env env;
    std::string run;
  };
  const std::string gunicorn = "/app/.venv/bin/gunicorn --bind 0.0.0.0:8080 ";
  const std::string uvicorn = "/app/.venv/bin/uvicorn --host 0.0.0.0 --port 8080 ";
  const auto c = GENERATE_COPY(values<Case>({
      {"gunicorn and an app object",
       {{"requirements.txt", "Flask\nGunicorn==21\n"},
        {"app.py", "from flask import Flask\napp = Flask(__name__)\n"}},
       {},
       gunicorn + "app:app"},
      {"application is a name too",
       {{"requirements.txt", "gunicorn\n"}, {"main.py", "application = make()\n"}},
       {},
       gunicorn + "main:application"},
      {"FastAPI under uvicorn",
       {{"requirements.txt", "fastapi\nuvicorn[standard]\ngunicorn\n"},
        {"main.py", "app = FastAPI()\n"}},
       {},
       uvicorn + "main:app"},
      {"Flask alone",
       {{"requirements.txt", "flask\n"}, {"app.py", "app = Flask(__name__)\n"}},
       {},
       "/app/.venv/bin/flask --app app:app run --host 0.0.0.0 --port 8080"},
      {"a file that starts itself",
       {{"requirements.txt", "flask\n"},
        {"app.py", "app = Flask(__name__)\nif __name__ == '__main__':\n  app.run()\n"}},
       {},
       "/app/.venv/bin/python app.py"},
      {"an object of a similar name is none",
       {{"requirements.txt", "gunicorn\n"}, {"app.py", "apple = 1\nif app == 2: pass\n"}},
       {},
       "/app/.venv/bin/python app.py"},
      {"wsgi.py",
       {{"requirements.txt", "gunicorn\n"}, {"wsgi.py", "application = 1\n"}},
       {},
       gunicorn + "wsgi:application"},
      {"wsgi.py with app",
       {{"requirements.txt", "gunicorn\n"}, {"wsgi.py", "app = 1\n"}},
       {},
       gunicorn + "wsgi:app"},
      {"Django under gunicorn",
       {{"requirements.txt", "django\ngunicorn\n"}, {"manage.py", ""}, {"shop/wsgi.py", ""}},
       {},
       gunicorn + "shop.wsgi"},
      {"Django under uvicorn",
       {{"requirements.txt", "django\nuvicorn\n"}, {"manage.py", ""}, {"shop/asgi.py", ""}},
       {},
       uvicorn + "shop.asgi:application"},
      {"Django alone",
       {{"requirements.txt", "django\n"}, {"manage.py", ""}},
       {},
       "/app/.venv/bin/python manage.py runserver --noreload 0.0.0.0:8080"},
      {"CC_PYTHON_MODULE",
       {{"requirements.txt", "gunicorn\n"}, {"x.py", ""}},
       {{"CC_PYTHON_MODULE", "x:api"}},
       gunicorn + "x:api"},
      {"a Procfile",
       {{"requirements.txt", "flask\n"}, {"Procfile", "web: hypercorn x:y\n"}},
       {},
       "/bin/sh -c exec hypercorn x:y"},
  }));
  INFO(c.name);
  CHECK(run_of(plan_of(c.files, c.env)) == c.run);
}

TEST_CASE("python: bad input is refused with place and cure") {
  struct Case {
    std::string name;
    Files files;
    Env env;
    std::string message;
  };
  const auto c = GENERATE(values<Case>({
      {"malformed TOML",
       {{"pyproject.toml", "[project\nname='x'\n"}, {"app.py", ""}},
       {},
       "pyproject.toml, line 1, column 9: Error while parsing table header: expected ']', saw "
       "'\\n'"},
      {"a dependency that is no text",
       {{"pyproject.toml", "[project]\ndependencies=[1]\n"}, {"app.py", ""}},
       {},
       "pyproject.toml, line 2: project.dependencies must be a list of texts."},
      {"nothing to start",
       {{"requirements.txt", "flask\n"}},
       {},
       "Nothing says how to start this app: there is no Procfile, manage.py, wsgi.py, app.py, "
       "main.py, "
       "server.py or run.py. Add a Procfile with a line like `web: python your_file.py`, or set "
       "CC_RUN_COMMAND."},
      {"wsgi.py without a server",
       {{"requirements.txt", "flask\n"}, {"wsgi.py", "application=1\n"}},
       {},
       "wsgi.py needs a server, and neither gunicorn nor uvicorn is among the dependencies. Add "
       "gunicorn to requirements.txt, or set CC_RUN_COMMAND."},
      {"CC_PYTHON_MODULE without a server",
       {{"requirements.txt", "flask\n"}},
       {{"CC_PYTHON_MODULE", "x:y"}},
       "CC_PYTHON_MODULE=x:y needs a server, and neither gunicorn nor uvicorn is among the "
       "dependencies. Add gunicorn to requirements.txt, or set CC_RUN_COMMAND."},
  }));
  INFO(c.name);
  CHECK(refusal_of(c.files, c.env) == c.message);
}
