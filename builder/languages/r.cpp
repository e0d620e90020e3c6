// R: renv.lock, DESCRIPTION, or a plumber.R, app.R, server.R.
//   install  renv::restore(), else install.R.
//   build    CC_BUILD_COMMAND.
//   start    plumber.R under plumber, app.R or server.R with ui.R under Shiny, else main.R.
#include <array>

#include "builder/languages/table.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

Start of_expression(const std::string& expression, const std::string& said) {
  return {{"/usr/bin/Rscript", "-e", expression}, said};
}

Result<Start> start_of(const SourceTree& tree) {
  for (const char* file : {"plumber.R", "api.R"})
    if (tree.has_file(file))
      return of_expression(std::string("plumber::pr_run(plumber::pr('") + file +
                               "'), host = '0.0.0.0', port = 8080)",
                           std::string("plumber on ") + file);
  if (tree.has_file("app.R") || (tree.has_file("server.R") && tree.has_file("ui.R")))
    return of_expression(
        "shiny::runApp('.', host = '0.0.0.0', port = 8080)",
        std::string("Shiny (") + (tree.has_file("app.R") ? "app.R" : "server.R and ui.R") + ")");
  for (const char* file : {"main.R", "server.R", "run.R"})
    if (tree.has_file(file))
      return Start{{"/usr/bin/Rscript", file},
                   std::string("Rscript ") + file + " (the file is there)"};
  return Error(
      ErrorKind::invalid,
      "Nothing says how to start this app: there is no Procfile, plumber.R, app.R or main.R. "
      "Add a Procfile with a line like `web: Rscript your_file.R`, or set CC_RUN_COMMAND.");
}

Result<LanguagePlan> plan(const Inspection& about) {
  LanguagePlan result;
  result.tool = "none";
  choose_version(result, about, "r", "R", "", std::nullopt);
  if (about.tree.has_file("renv.lock")) {
    result.tool = "renv";
    // .Rprofile activates renv, which then finds its library below /app.
    result.env["RENV_PATHS_LIBRARY"] = "/app/renv/library";
    result.step("install",
                "RENV_PATHS_CACHE=/cache/renv RENV_CONFIG_CACHE_SYMLINKS=FALSE Rscript -e "
                "'if (!requireNamespace(\"renv\", quietly = TRUE)) install.packages(\"renv\")' -e "
                "'renv::restore(prompt = FALSE)'");
    result.reason("Install: renv::restore() (renv.lock).");
  } else if (about.tree.has_file("install.R")) {
    result.tool = "script";
    result.env["R_LIBS_USER"] = "/app/.karreg/library";
    result.step("install", "mkdir -p /app/.karreg/library\nRscript install.R");
    result.reason("Install: Rscript install.R.");
  }
  add_build_command(result, about);
  result.start = start_of(about.tree);
  return result;
}

std::optional<Match> detect(const Inspection& about) {
  for (const char* file : {"renv.lock", "DESCRIPTION"})
    if (about.tree.has_file(file))
      return Match{file,
                   about.start || start_of(about.tree) ? Evidence::manifest : Evidence::companion};
  for (const char* file : {"plumber.R", "app.R", "server.R", "main.R"})
    if (about.tree.has_file(file)) return Match{file, Evidence::sources};
  return std::nullopt;
}

}  // namespace

Language r() {
  return {"r", "R", "renv.lock, DESCRIPTION, plumber.R, app.R or main.R", {}, detect, plan};
}

}  // namespace karreg::builder::languages_of
