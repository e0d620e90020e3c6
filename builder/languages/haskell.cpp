// Haskell: stack.yaml, cabal.project, package.yaml or a .cabal file.
//   build    stack when there is a stack.yaml, else cabal; CC_BUILD_COMMAND replaces it.
//   program  CC_HASKELL_STACK_TARGET's, the only executable that was installed, or the first that
//   is
//            named. It becomes /app/.karreg/start.
#include <array>

#include "builder/languages/table.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr std::array variables = {
    Variable{"CC_HASKELL_STACK_TARGET", "haskell.target",
             "the executable that is the app, where there are several"},
};

constexpr const char* program = "/app/.karreg/start";

std::optional<std::string> cabal_file(const SourceTree& tree) {
  for (const Entry& entry : tree.list(""))
    if (entry.kind == EntryKind::file && entry.name.ends_with(".cabal")) return entry.name;
  return std::nullopt;
}

std::optional<Match> detect(const Inspection& about) {
  for (const char* file : {"stack.yaml", "cabal.project"})
    if (about.tree.has_file(file)) return Match{file};
  if (auto file = cabal_file(about.tree)) return Match{*file};
  return std::nullopt;
}

Result<LanguagePlan> plan(const Inspection& about) {
  LanguagePlan result;
  const bool stack = about.tree.has_file("stack.yaml");
  result.tool = stack ? "stack" : "cabal";
  choose_version(result, about, "haskell", "Haskell", "", std::nullopt);
  if (add_build_command(result, about)) {
    result.start = Error(ErrorKind::invalid,
                         "CC_BUILD_COMMAND replaces the build by " + result.tool +
                             ", so that the program is not known: set CC_RUN_COMMAND too, or add a "
                             "Procfile with a `web:` line.");
    return result;
  }
  const auto wanted = about.settings.find("CC_HASKELL_STACK_TARGET");
  const std::string target = wanted ? wanted->value : "";
  if (stack)
    result.step("build",
                "export STACK_ROOT=/cache/stack\n"
                "stack install --system-ghc --no-install-ghc --local-bin-path "
                "/app/.karreg/bin");
  else
    result.step("build",
                "export CABAL_DIR=/cache/cabal\n"
                "cabal update\n"
                "cabal install " +
                    (target.empty() ? "all:exes" : shell_quote("exe:" + target)) +
                    " --installdir=/app/.karreg/bin --install-method=copy "
                    "--overwrite-policy=always");
  result.reason("Build: " + result.tool + " install into /app/.karreg/bin.");
  if (!about.start)
    result.step(
        "executable",
        "wanted=" + shell_quote(target) +
            "\nset -- /app/.karreg/bin/*\n"
            "if [ -n \"$wanted\" ]; then set -- \"/app/.karreg/bin/$wanted\"; fi\n"
            "if [ ! -x \"$1\" ]; then\n"
            "  echo \"The build made no program $wanted. There is: $(ls /app/.karreg/bin)\" >&2\n"
            "  exit 1\n"
            "fi\n"
            "if [ $# != 1 ]; then\n"
            "  echo \"The build made several programs: $(ls -m /app/.karreg/bin). Choose one with "
            "CC_HASKELL_STACK_TARGET=name, or set CC_RUN_COMMAND.\" >&2\n"
            "  exit 1\n"
            "fi\n"
            "ln -sf \"$1\" " +
            program);
  result.start = Start{{program},
                       wanted ? "the program " + target + " (" + wanted->origin + ")"
                              : "the program that " + result.tool + " installs"};
  return result;
}

}  // namespace

Language haskell() {
  return {"haskell", "Haskell", "stack.yaml, cabal.project or a .cabal file",
          variables, detect,    plan};
}

}  // namespace karreg::builder::languages_of
