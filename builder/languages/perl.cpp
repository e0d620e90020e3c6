// Perl: cpanfile, Makefile.PL, Build.PL, or an app.psgi.
//   install  cpanm into /app/local, from the list of dependencies.
//   build    CC_BUILD_COMMAND.
//   start    app.psgi under Starman, else app.pl, main.pl ... or the Mojolicious program in
//   script/;
//            a Mojolicious program as a daemon.
#include <array>

#include "builder/languages/table.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr std::array<const char*, 3> manifests = {"cpanfile", "Makefile.PL", "Build.PL"};
constexpr std::array<const char*, 4> script_files = {"app.pl", "main.pl", "server.pl", "index.pl"};

constexpr std::array<const char*, 2> psgi_files = {"app.psgi", "bin/app.psgi"};

bool uses_mojolicious(const SourceTree& tree, const std::string& file) {
  const auto text = tree.read(file, max_inspected_bytes);
  return text && text->find("Mojolicious") != std::string::npos;
}

/// What is started.
struct Program {
  std::string file;
  bool is_psgi = false;
  bool is_mojolicious = false;
};

std::optional<Program> program_of(const SourceTree& tree) {
  for (const char* file : psgi_files)
    if (tree.has_file(file)) return Program{file, true};
  for (const char* file : script_files)
    if (tree.has_file(file)) return Program{file, false, uses_mojolicious(tree, file)};
  // A Mojolicious application keeps its program in script/, where tools may be, too.
  for (const Entry& entry : tree.list("script"))
    if (const std::string file = "script/" + entry.name; uses_mojolicious(tree, file))
      return Program{file, false, true};
  return std::nullopt;
}

Result<Start> start_of(const std::optional<Program>& program) {
  if (!program)
    return Error(
        ErrorKind::invalid,
        "Nothing says how to start this app: there is no Procfile, app.psgi, app.pl, main.pl "
        "or server.pl. Add a Procfile with a line like `web: perl your_file.pl`, or set "
        "CC_RUN_COMMAND.");
  const std::string& file = program->file;
  if (program->is_psgi)
    return Start{{"/usr/bin/starman", "--listen", "0.0.0.0:8080", "--workers", "4", file},
                 "starman " + file + " (the file is there)"};
  if (program->is_mojolicious)
    return Start{{"/usr/bin/perl", file, "daemon", "--listen", "http://*:8080"},
                 "perl " + file + " daemon (it uses Mojolicious)"};
  return Start{{"/usr/bin/perl", file}, "perl " + file + " (the file is there)"};
}

Result<LanguagePlan> plan(const Inspection& about) {
  LanguagePlan result;
  result.tool = "none";
  choose_version(result, about, "perl", "Perl", "", std::nullopt);
  for (const char* file : manifests) {
    if (!about.tree.has_file(file)) continue;
    result.tool = "cpanm";
    result.env = {{"PERL5LIB", "/app/local/lib/perl5:/app/lib"},
                  {"PATH", "/app/local/bin:/usr/local/bin:/usr/bin:/bin"}};
    result.step(
        "install",
        "PERL_CPANM_HOME=/cache/cpanm cpanm --notest --quiet --local-lib-contained /app/local "
        "--installdeps /app");
    result.reason(std::string("Install: cpanm into /app/local (") + file + ").");
    if (about.tree.has_file("cpanfile.snapshot"))
      result.reason(
          "cpanfile.snapshot is not read: cpanm takes the newest versions that cpanfile allows.");
    break;
  }
  add_build_command(result, about);
  const auto program = program_of(about.tree);
  // As in development, a visitor would be shown the source around an error.
  if (program && program->is_mojolicious) result.env["MOJO_MODE"] = "production";
  result.start = start_of(program);
  return result;
}

std::optional<Match> detect(const Inspection& about) {
  const auto program = program_of(about.tree);
  for (const char* file : manifests)
    if (about.tree.has_file(file))
      return Match{file, about.start || program ? Evidence::manifest : Evidence::companion};
  if (program) return Match{program->file, Evidence::sources};
  return std::nullopt;
}

}  // namespace

Language perl() {
  return {"perl", "Perl", "cpanfile, Makefile.PL, app.psgi or app.pl", {}, detect, plan};
}

}  // namespace karreg::builder::languages_of
