// Meson, Autotools and Make. Which programs there are is asked after the build: Meson's
// introspection, what `make install` puts into bin and sbin, the files that make has made.
#include "builder/languages/cpp/tools.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::cpp {
namespace {

/// Shell: `choose TOOL FIRST` reads paths of programs, one a line, and links the one that is meant:
/// $wanted, the only one, or the one named FIRST. Of those with the same name it takes the first.
constexpr std::string_view choose = R"sh(choose() {
  tool=$1 first=$2 found= chosen= number=0
  while IFS= read -r path; do
    name=${path##*/}
    case ", $found, " in *", $name, "*) continue ;; esac
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

/// Shell: `programs` keeps those of the paths it reads that are programs: ELF and executable, and
/// not named like a shared library.
constexpr std::string_view programs = R"sh(programs() {
  while IFS= read -r path; do
    case $path in *.so | *.so.* | *.o) continue ;; esac
    if [ -f "$path" ] && [ -x "$path" ] && [ "$(head -c 4 "$path" | od -An -tx1)" = " 7f 45 4c 46" ]; then
      readlink -f "$path"
    fi
  done
}
)sh";

std::string chosen(const std::string& wanted, const std::string& pipeline) {
  return "wanted=" + shell_quote(wanted) + "\n" + std::string(choose) + std::string(programs) +
         pipeline;
}

/// Compilers through ccache, where the image has it; the owner's, if the environment names them.
constexpr std::string_view with_ccache =
    "if command -v ccache >/dev/null; then\n"
    "  export CC=\"ccache ${CC:-cc}\" CXX=\"ccache ${CXX:-c++}\"\n"
    "fi\n";

/// What is newer was made by make.
constexpr std::string_view before_make = "/app/.karreg/before-make";

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
               "find /app/.karreg/installed -type f \\( -path '*/bin/*' -o -path '*/sbin/*' \\) | "
               "sort |\n"
               "  programs | choose 'make install' "
               "\"$(sed -n \"s/^PACKAGE_TARNAME='\\(.*\\)'$/\\1/p\" configure | head -n 1)\""));
}

void add_make(LanguagePlan& plan, const std::string& wanted, bool find_program) {
  const std::string stamp(before_make);
  plan.step("build", (find_program ? "mkdir -p /app/.karreg\ntouch " + stamp + "\n" : "") +
                         std::string(with_ccache) + "make -j \"$(nproc)\"");
  plan.reason("Build: make.");
  if (find_program)
    // Not make's own database: it lacks what implicit rules and makes below it have made.
    plan.step("executable", chosen(wanted,
                                   "find /app \\( -name .git -o -name CMakeFiles \\) -prune -o "
                                   "-type f -newer " +
                                       stamp +
                                       " -print | sort |\n"
                                       "  programs | choose make ''\n"
                                       "rm " +
                                       stamp));
}

}  // namespace karreg::builder::cpp
