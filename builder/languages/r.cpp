// R: renv.lock, DESCRIPTION, or a plumber.R, app.R, server.R.
//   install  renv::restore(), else install.R, else what DESCRIPTION lists.
//   build    CC_BUILD_COMMAND.
//   start    plumber.R or api.R under plumber, app.R or server.R with ui.R under Shiny, else
//            main.R, server.R, run.R.
#include <array>

#include "builder/languages/table.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr const char* library = "/app/.karreg/library";
constexpr std::array<const char*, 7> script_files = {"plumber.R", "api.R",  "app.R", "server.R",
                                                     "ui.R",      "main.R", "run.R"};

/// Installs what DESCRIPTION needs and the image does not have. install.packages() only warns of
/// what it could not install.
constexpr const char* install_description =
    "Rscript"
    " -e 'd <- read.dcf(\"DESCRIPTION\", c(\"Depends\", \"Imports\", \"LinkingTo\"))'"
    " -e 'p <- trimws(sub(\"[(].*\", \"\", unlist(strsplit(d[!is.na(d)], \",\"))))'"
    " -e 'wanted <- function() setdiff(p[nzchar(p)], c(\"R\", rownames(installed.packages())))'"
    " -e 'if (length(wanted())) install.packages(wanted())'"
    " -e 'if (length(wanted())) stop(\"not installed: \", toString(wanted()))'";

Start of_expression(const std::string& expression, const std::string& said) {
  return {{"/usr/bin/Rscript", "-e", expression}, said};
}

/// Whether the file mentions Shiny: library(shiny), shinyApp(), "# Launch the ShinyApp".
bool is_shiny(const SourceTree& tree, const char* file) {
  const auto text = tree.read(file, max_inspected_bytes);
  return text &&
         (text->find("shiny") != std::string::npos || text->find("Shiny") != std::string::npos);
}

Result<Start> start_of(const SourceTree& tree) {
  for (const char* file : {"plumber.R", "api.R"})
    if (tree.has_file(file))
      return of_expression(std::string("plumber::pr_run(plumber::pr('") + file +
                               "'), host = '0.0.0.0', port = 8080)",
                           std::string("plumber on ") + file);
  if (is_shiny(tree, "app.R") || (tree.has_file("server.R") && tree.has_file("ui.R")))
    return of_expression(
        "shiny::runApp('.', host = '0.0.0.0', port = 8080)",
        std::string("Shiny (") + (is_shiny(tree, "app.R") ? "app.R" : "server.R and ui.R") + ")");
  for (const char* file : {"app.R", "main.R", "server.R", "run.R"})
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
  const auto install = [&](const std::string& command) {
    result.env["R_LIBS_USER"] = library;
    result.step("install", std::string("mkdir -p ") + library + "\n" + command);
  };
  if (about.tree.has_file("renv.lock")) {
    result.tool = "renv";
    constexpr const char* settings =
        "RENV_PATHS_CACHE=/cache/renv RENV_CONFIG_CACHE_SYMLINKS=FALSE ";
    if (about.tree.has_file(".Rprofile")) {
      // It activates renv, which then finds its library below /app.
      result.env["RENV_PATHS_LIBRARY"] = "/app/renv/library";
      result.step("install", std::string(settings) +
                                 "Rscript -e 'if (!requireNamespace(\"renv\", quietly = TRUE)) "
                                 "install.packages(\"renv\")' -e 'renv::restore(prompt = FALSE)'");
    } else {
      install(std::string(settings) + "Rscript -e 'renv::restore(library = \"" + library +
              "\", prompt = FALSE)'");
    }
    result.reason("Install: renv::restore() (renv.lock).");
  } else if (about.tree.has_file("install.R")) {
    result.tool = "script";
    install("Rscript install.R");
    result.reason("Install: Rscript install.R.");
  } else if (about.tree.has_file("DESCRIPTION")) {
    result.tool = "script";
    install(install_description);
    result.reason("Install: the packages of DESCRIPTION, as new as they are; renv.lock pins them.");
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
  if (start_of(about.tree))
    for (const char* file : script_files)
      if (about.tree.has_file(file)) return Match{file, Evidence::sources};
  return std::nullopt;
}

}  // namespace

Language r() {
  return {"r", "R", "renv.lock, DESCRIPTION, plumber.R, app.R or main.R", {}, detect, plan};
}

}  // namespace karreg::builder::languages_of
