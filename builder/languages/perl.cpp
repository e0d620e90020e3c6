// Perl: cpanfile, Makefile.PL, Build.PL, or an app.psgi.
//   install  cpanm into /app/local, from the list of dependencies.
//   build    CC_BUILD_COMMAND.
//   start    app.psgi under Starman, a Mojolicious program as a daemon, else app.pl, main.pl ...
#include <array>

#include "builder/languages/table.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr std::array<const char*, 3> manifests = {"cpanfile", "Makefile.PL", "Build.PL"};
constexpr std::array<const char*, 4> script_files = {"app.pl", "main.pl", "server.pl", "index.pl"};

Result<Start> start_of(const SourceTree& tree) {
  for (const char* file : {"app.psgi", "bin/app.psgi"})
    if (tree.has_file(file))
      return Start{{"/usr/bin/starman", "--listen", "0.0.0.0:8080", "--workers", "4", file},
                   std::string("starman ") + file + " (the file is there)"};
  const auto of_script = [&](const std::string& file) {
    const auto text = tree.read(file, max_inspected_bytes);
    if (text && text->find("Mojo") != std::string::npos)
      return Start{{"/usr/bin/perl", file, "daemon", "--listen", "http://*:8080"},
                   "perl " + file + " daemon (it uses Mojolicious)"};
    return Start{{"/usr/bin/perl", file}, "perl " + file + " (the file is there)"};
  };
  for (const char* file : script_files)
    if (tree.has_file(file)) return of_script(file);
  // A Mojolicious application keeps its program in script/.
  const std::vector<Entry> scripts = tree.list("script");
  if (scripts.size() == 1 && scripts.front().kind == EntryKind::file)
    return of_script("script/" + scripts.front().name);
  return Error(
      ErrorKind::invalid,
      "Nothing says how to start this app: there is no Procfile, app.psgi, app.pl, main.pl "
      "or server.pl. Add a Procfile with a line like `web: perl your_file.pl`, or set "
      "CC_RUN_COMMAND.");
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
    break;
  }
  add_build_command(result, about);
  result.start = start_of(about.tree);
  return result;
}

std::optional<Match> detect(const Inspection& about) {
  for (const char* file : manifests)
    if (about.tree.has_file(file))
      return Match{file,
                   about.start || start_of(about.tree) ? Evidence::manifest : Evidence::companion};
  for (const char* file : {"app.psgi", "app.pl", "main.pl", "server.pl", "index.pl"})
    if (about.tree.has_file(file)) return Match{file, Evidence::sources};
  return std::nullopt;
}

}  // namespace

Language perl() {
  return {"perl", "Perl", "cpanfile, Makefile.PL, app.psgi or app.pl", {}, detect, plan};
}

}  // namespace karreg::builder::languages_of
