// Haskell: stack.yaml, cabal.project or a .cabal file.
//   build    stack when there is a stack.yaml, else cabal; CC_BUILD_COMMAND replaces it. The
//            compiler is the image's, whatever the snapshot of stack.yaml was made for.
//   program  CC_HASKELL_STACK_TARGET's, or the only executable that was installed. It becomes
//            /app/.karreg/start; an owner's start command finds all of them in the PATH.
#include <algorithm>
#include <array>
#include <cctype>

#include "builder/languages/table.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr std::array variables = {
    Variable{"CC_HASKELL_STACK_TARGET", "haskell.target",
             "the executable that is the app, where there are several"},
};

constexpr const char* program = "/app/.karreg/start";

/// Shell: links the program $wanted, or the only one that was installed.
constexpr std::string_view find_program = R"sh(mkdir -p /app/.karreg/bin
there=$(ls -m -w 0 /app/.karreg/bin)
if [ -z "$there" ]; then
  echo "The build made no program: no package has a section \`executable\`. Add one, or set CC_RUN_COMMAND." >&2
  exit 1
fi
if [ -n "$wanted" ]; then set -- "/app/.karreg/bin/$wanted"; else set -- /app/.karreg/bin/*; fi
if [ $# != 1 ]; then
  echo "The build made several programs: $there. Choose one with CC_HASKELL_STACK_TARGET=name, or set CC_RUN_COMMAND." >&2
  exit 1
fi
if [ ! -f "$1" ]; then
  echo "The build made no program $wanted. There is: $there." >&2
  exit 1
fi
ln -sf "$1" /app/.karreg/start
echo "The app is the program $1")sh";

std::optional<std::string> cabal_file(const SourceTree& tree) {
  for (const Entry& entry : tree.list(""))
    if (entry.kind == EntryKind::file && entry.name.ends_with(".cabal")) return entry.name;
  return std::nullopt;
}

/// Whether a .cabal file has a section `executable`; its words may be written in capitals.
bool has_executable(const SourceTree& tree, const std::string& file) {
  const auto read = tree.read(file, max_inspected_bytes);
  if (!read) return false;
  std::string text = "\n" + *read;
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text.find("\nexecutable") != std::string::npos;
}

/// The .cabal file, when it is all there is and makes libraries only.
std::optional<std::string> library(const SourceTree& tree) {
  if (tree.has_file("stack.yaml") || tree.has_file("cabal.project")) return std::nullopt;
  auto file = cabal_file(tree);
  return file && !has_executable(tree, *file) ? file : std::nullopt;
}

std::optional<Match> detect(const Inspection& about) {
  for (const char* file : {"stack.yaml", "cabal.project"})
    if (about.tree.has_file(file)) return Match{file};
  if (auto file = cabal_file(about.tree))
    return Match{*file, about.start || about.build_command() || !library(about.tree)
                            ? Evidence::manifest
                            : Evidence::companion};
  return std::nullopt;
}

Result<LanguagePlan> plan(const Inspection& about) {
  LanguagePlan result;
  const bool stack = about.tree.has_file("stack.yaml");
  result.tool = stack ? "stack" : "cabal";
  choose_version(result, about, "haskell", "Haskell", "", std::nullopt);
  if (replace_build(result, about)) return result;
  if (const auto file = library(about.tree)) {
    result.start = Error(ErrorKind::invalid,
                         *file +
                             " has no section `executable`: it makes a library, which cannot "
                             "be started. Add one, or set CC_RUN_COMMAND.");
    if (!about.start) return result;
  }
  const auto wanted = about.settings.find("CC_HASKELL_STACK_TARGET");
  // "shop:exe:server" is how stack names the executable `server`.
  const std::string target =
      wanted ? wanted->value.substr(wanted->value.rfind(':') + 1) : std::string();
  if (stack)
    result.step("build",
                "export STACK_ROOT=/cache/stack\n"
                "stack install --system-ghc --no-install-ghc "
                "--compiler \"ghc-$(ghc --numeric-version)\" "
                "--local-bin-path /app/.karreg/bin");
  else
    result.step("build",
                "export CABAL_DIR=/cache/cabal\n"
                "cabal update\n"
                "cabal install " +
                    (target.empty() ? "all:exes" : shell_quote("exe:" + target)) +
                    " --installdir=/app/.karreg/bin --install-method=copy "
                    "--overwrite-policy=always");
  result.reason("Build: " + result.tool + " install into /app/.karreg/bin.");
  if (about.start) {
    result.env["PATH"] = "/app/.karreg/bin:/usr/local/bin:/usr/bin:/bin";
    result.reason("The programs are in the PATH.");
    return result;
  }
  result.step("executable", "wanted=" + shell_quote(target) + "\n" + std::string(find_program));
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
