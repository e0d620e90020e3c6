// Meson, Autotools and Make. Which programs there are is asked of each build system after it has
// built: Meson's introspection, what `make install` puts into bin, the targets that make knows.
#include "builder/languages/cpp/tools.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::cpp {
namespace {

/// Shell: `choose TOOL FIRST` reads paths of programs, one a line, and links the one that is meant:
/// $wanted, the only one, or the one named FIRST.
constexpr std::string_view choose = R"sh(choose() {
  tool=$1 first=$2 found= chosen= number=0
  while IFS= read -r path; do
    name=${path##*/}
    found="$found${found:+, }$name"
    number=$((number + 1))
    if [ "$name" = "${wanted:-$first}" ] || { [ -z "$wanted" ] && [ "$number" = 1 ] && [ -z "$first" ]; }; then
      chosen=$path
    fi
    only=$path
  done
  if [ "$number" = 0 ]; then
    echo "$tool built no program. Set CC_RUN_COMMAND." >&2
    exit 1
  fi
  if [ -z "$chosen" ] && [ -n "$wanted" ]; then
    echo "CC_CPP_TARGET=$wanted is not among the programs that $tool built: $found." >&2
    exit 1
  fi
  [ "$number" != 1 ] || chosen=$only
  if [ -z "$chosen" ] || { [ -z "$wanted" ] && [ -z "$first" ] && [ "$number" != 1 ]; }; then
    echo "$tool built several programs: $found. Choose one with CC_CPP_TARGET=name, or set CC_RUN_COMMAND." >&2
    exit 1
  fi
  mkdir -p /app/.karreg
  ln -sf "$chosen" /app/.karreg/start
  echo "The app is the program ${chosen##*/} ($chosen)"
}
)sh";

/// Shell: `programs` keeps those of the paths it reads that are programs: ELF, with an interpreter
/// or linked statically, no shared libraries.
constexpr std::string_view programs = R"sh(programs() {
  while IFS= read -r path; do
    case $path in *.so | *.so.* | *.o) continue ;; esac
    if [ -f "$path" ] && [ -x "$path" ] && [ "$(head -c 4 "$path" | tail -c 3)" = ELF ]; then
      readlink -f "$path"
    fi
  done
}
)sh";

std::string chosen(const std::string& wanted, const std::string& pipeline) {
  return "wanted=" + shell_quote(wanted) + "\n" + std::string(choose) + std::string(programs) +
         pipeline;
}

/// Compilers through ccache, where the image has it.
constexpr std::string_view with_ccache =
    "if command -v ccache >/dev/null; then export CC='ccache cc' CXX='ccache c++'; fi\n";

}  // namespace

void add_meson(LanguagePlan& plan, const std::string& wanted, bool find_program) {
  plan.step("configure",
            std::string(with_ccache) + "meson setup /app/build /app --buildtype release");
  plan.step("build", "meson compile -C /app/build");
  plan.reason("Build: meson, release, in /app/build.");
  if (find_program)
    plan.step(
        "executable",
        chosen(wanted,
               "meson introspect /app/build --targets |\n"
               "  python3 -c 'import json, sys\n"
               "for target in json.load(sys.stdin):\n"
               "    if target[\"type\"] == \"executable\" and target.get(\"build_by_default\"):\n"
               "        print(target[\"filename\"][0])' |\n"
               "  programs | choose Meson "
               "\"$(meson introspect /app/build --projectinfo |\n"
               "  python3 -c 'import json, sys; "
               "print(json.load(sys.stdin)[\"descriptive_name\"])')\""));
}

void add_autotools(LanguagePlan& plan, const std::string& wanted, bool find_program,
                   bool has_configure) {
  plan.step("configure", std::string(with_ccache) +
                             (has_configure ? "" : "autoreconf --install\n") +
                             "sh ./configure --prefix=/app/.karreg/installed");
  plan.step("build", "make -j \"$(nproc)\"\nmake install");
  plan.reason("Build: ./configure, make, make install, into /app/.karreg/installed.");
  if (find_program)
    plan.step(
        "executable",
        chosen(wanted,
               "find /app/.karreg/installed/bin -type f 2>/dev/null | sort |\n"
               "  programs | choose 'make install' "
               "\"$(sed -n \"s/^PACKAGE_NAME='\\(.*\\)'$/\\1/p\" config.status | head -n 1)\""));
}

void add_make(LanguagePlan& plan, const std::string& wanted, bool find_program) {
  plan.step("build", std::string(with_ccache) + "make -j \"$(nproc)\"");
  plan.reason("Build: make.");
  if (find_program)
    // What make's database calls a target, and is a program by now.
    plan.step(
        "executable",
        chosen(
            wanted,
            "make -pRrq 2>/dev/null |\n"
            "  awk '/^# Not a target/ { skip = 1; next }\n"
            "    /^[^#\\t %.:=][^%:=]*:/ { if (!skip) { sub(/:.*/, \"\"); print } skip = 0 }' |\n"
            "  sort -u | programs | sort -u | choose make ''"));
}

}  // namespace karreg::builder::cpp
