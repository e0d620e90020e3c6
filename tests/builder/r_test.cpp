#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {

const std::string shiny = "library(shiny)\nshinyApp(ui, server)\n";
const std::string run_shiny =
    "/usr/bin/Rscript -e shiny::runApp('.', host = '0.0.0.0', port = 8080)";

std::string plumber(const std::string& file) {
  return "/usr/bin/Rscript -e plumber::pr_run(plumber::pr('" + file +
         "'), host = '0.0.0.0', port = 8080)";
}

}  // namespace

TEST_CASE("r: a project that activates renv gets its library below the app") {
  const auto plan = plan_of({{"renv.lock", "{}"},
                             {".Rprofile", "source('renv/activate.R')\n"},
                             {"install.R", ""},
                             {"plumber.R", ""}});
  CHECK(plan.runtime == "r");
  CHECK(plan.tool == "renv");
  CHECK(step_names(plan) == "install");
  CHECK(command_of(plan, "install") ==
        "RENV_PATHS_CACHE=/cache/renv RENV_CONFIG_CACHE_SYMLINKS=FALSE Rscript -e "
        "'if (!requireNamespace(\"renv\", quietly = TRUE)) install.packages(\"renv\")' -e "
        "'renv::restore(prompt = FALSE)'");
  CHECK(plan.env == Env{{"RENV_PATHS_LIBRARY", "/app/renv/library"}});
  CHECK(plan.reasons.front() == "Detected R (renv.lock).");
  CHECK(gives_reason(plan, "Install: renv::restore() (renv.lock)."));
  CHECK(plan.problem.empty());
}

TEST_CASE("r: without .Rprofile nothing activates renv, and R itself finds the library") {
  const auto plan = plan_of({{"renv.lock", "{}"}, {"plumber.R", ""}});
  CHECK(command_of(plan, "install") ==
        "mkdir -p /app/.karreg/library\n"
        "RENV_PATHS_CACHE=/cache/renv RENV_CONFIG_CACHE_SYMLINKS=FALSE Rscript -e "
        "'renv::restore(library = \"/app/.karreg/library\", prompt = FALSE)'");
  CHECK(plan.env == Env{{"R_LIBS_USER", "/app/.karreg/library"}});
}

TEST_CASE("r: install.R before DESCRIPTION") {
  const auto plan = plan_of({{"install.R", ""}, {"DESCRIPTION", ""}, {"app.R", shiny}});
  CHECK(plan.tool == "script");
  CHECK(command_of(plan, "install") == "mkdir -p /app/.karreg/library\nRscript install.R");
  CHECK(plan.env == Env{{"R_LIBS_USER", "/app/.karreg/library"}});
  CHECK(gives_reason(plan, "Install: Rscript install.R."));
}

TEST_CASE("r: what DESCRIPTION lists is installed, and what cannot be had ends the build") {
  const auto plan = plan_of({{"DESCRIPTION", "Package: x\nImports: httr\n"}, {"app.R", shiny}});
  CHECK(plan.tool == "script");
  const std::string command = command_of(plan, "install");
  CHECK(
      command.starts_with("mkdir -p /app/.karreg/library\nRscript -e 'd <- "
                          "read.dcf(\"DESCRIPTION\", c(\"Depends\", \"Imports\", "
                          "\"LinkingTo\"))'"));
  CHECK(command.ends_with(
      " -e 'if (length(wanted())) stop(\"not installed: \", toString(wanted()))'"));
  CHECK(plan.env == Env{{"R_LIBS_USER", "/app/.karreg/library"}});
  CHECK(gives_reason(
      plan, "Install: the packages of DESCRIPTION, as new as they are; renv.lock pins them."));
}

TEST_CASE("r: how it starts") {
  struct Case {
    std::string name;
    Files files;
    std::string run;
  };
  const auto c = GENERATE(values<Case>({
      {"plumber.R", {{"plumber.R", ""}, {"app.R", shiny}}, plumber("plumber.R")},
      {"api.R", {{"api.R", ""}, {"main.R", ""}}, plumber("api.R")},
      {"app.R of Shiny", {{"app.R", shiny}, {"main.R", ""}}, run_shiny},
      {"app.R of a framework on Shiny",
       {{"app.R", "# Launch the ShinyApp\nshop::run_app()\n"}},
       run_shiny},
      {"app.R that starts itself",
       {{"app.R", "library(httpuv)\nrunServer('0.0.0.0', 8080, app)\n"}},
       "/usr/bin/Rscript app.R"},
      {"server.R and ui.R", {{"server.R", ""}, {"ui.R", ""}}, run_shiny},
      {"server.R alone", {{"server.R", ""}}, "/usr/bin/Rscript server.R"},
      {"main.R before server.R", {{"main.R", ""}, {"server.R", ""}}, "/usr/bin/Rscript main.R"},
      {"run.R", {{"run.R", ""}}, "/usr/bin/Rscript run.R"},
      {"a Procfile",
       {{"renv.lock", ""}, {"Procfile", "web: Rscript R/serve.R\n"}},
       "/bin/sh -c exec Rscript R/serve.R"},
  }));
  INFO(c.name);
  const auto plan = plan_of(c.files);
  CHECK(plan.runtime == "r");
  CHECK(run_of(plan) == c.run);
}

TEST_CASE("r: a lone file runs without a build, and says what started it") {
  const auto plan = plan_of({{"main.R", ""}});
  CHECK(plan.tool == "none");
  CHECK(plan.steps.empty());
  CHECK(plan.env.empty());
  CHECK(plan.reasons.front() == "Detected R (main.R).");
  CHECK(gives_reason(plan, "Start: Rscript main.R (the file is there)."));
  CHECK(
      gives_reason(plan_of({{"ui.R", ""}, {"server.R", ""}}), "Start: Shiny (server.R and ui.R)."));
}

TEST_CASE("r: a build command comes after the packages") {
  const auto plan = plan_of({{"install.R", ""}, {"plumber.R", ""}},
                            {{"CC_BUILD_COMMAND", "Rscript -e 'source(\"train.R\")'"}});
  CHECK(step_names(plan) == "install|build");
  CHECK(command_of(plan, "build") == "Rscript -e 'source(\"train.R\")'");
}

TEST_CASE("r: beside other languages") {
  struct Case {
    std::string name;
    Files files;
    std::string runtime;
  };
  const auto c = GENERATE(values<Case>({
      {"a file DESCRIPTION of something else",
       {{"DESCRIPTION", "A toy\n"}, {"app.py", ""}},
       "python"},
      {"R that a Python app uses",
       {{"renv.lock", ""}, {"requirements.txt", "flask\n"}, {"app.py", ""}},
       "python"},
      {"ui.R alone starts nothing", {{"ui.R", ""}, {"index.html", ""}}, "static"},
      {"an R app with a page", {{"plumber.R", ""}, {"index.html", ""}}, "r"},
  }));
  INFO(c.name);
  CHECK(plan_of(c.files).runtime == c.runtime);
}

TEST_CASE("r: bad input is refused with the way out") {
  CHECK(refusal_of({{"renv.lock", "{"}}, {}, "r") ==
        "Nothing says how to start this app: there is no Procfile, plumber.R, app.R or main.R. Add "
        "a Procfile with a line like `web: Rscript your_file.R`, or set CC_RUN_COMMAND.");
  CHECK(refusal_of({{"README", ""}}, {}, "r")
            .starts_with("This app has the type r, but the root of the repository has no "
                         "renv.lock, DESCRIPTION, plumber.R, app.R or main.R. There is: README."));
}
