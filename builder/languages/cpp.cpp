// C and C++: CMakeLists.txt, meson.build, configure, configure.ac, or a Makefile beside sources.
//   build    the tool, a release where it knows of such; CC_BUILD_COMMAND replaces it.
//   start    the program that was built: CC_CPP_TARGET, the only one, or the one named like the
//            project. It becomes /app/.karreg/start.
#include <array>

#include "builder/languages/cpp/tools.hpp"
#include "builder/languages/table.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr std::array variables = {
    Variable{"CC_CPP_TARGET", "cpp.target", "the program to start, where the build makes several"},
};

constexpr std::array<std::string_view, 6> sources = {".c", ".cc", ".cpp", ".cxx", ".C", ".c++"};

bool has_sources(const SourceTree& tree) {
  for (const char* folder : {"", "src", "source"})
    for (const Entry& entry : tree.list(folder))
      for (const std::string_view ending : sources)
        if (entry.kind == EntryKind::file && entry.name.ends_with(ending)) return true;
  return false;
}

std::optional<Match> detect(const Inspection& about) {
  for (const char* file : {"CMakeLists.txt", "meson.build", "configure.ac", "configure"})
    if (about.tree.has_file(file)) return Match{file};
  for (const char* file : {"Makefile", "makefile", "GNUmakefile"})
    if (about.tree.has_file(file) && has_sources(about.tree)) return Match{file, Evidence::sources};
  return std::nullopt;
}

Result<LanguagePlan> plan(const Inspection& about) {
  LanguagePlan result;
  const std::string file = detect(about)->file;
  choose_version(result, about, "cpp", "C and C++", "", std::nullopt);
  result.tool = file == "CMakeLists.txt"   ? "cmake"
                : file == "meson.build"    ? "meson"
                : file.starts_with("conf") ? "autotools"
                                           : "make";
  if (replace_build(result, about)) return result;
  const auto wanted = about.settings.find("CC_CPP_TARGET");
  const std::string target = wanted ? wanted->value : "";
  const bool find_program = !about.start;
  if (result.tool == "cmake")
    cpp::add_cmake(result, target, find_program);
  else if (result.tool == "meson")
    cpp::add_meson(result, target, find_program);
  else if (result.tool == "autotools")
    cpp::add_autotools(result, target, find_program, about.tree.has_file("configure"));
  else
    cpp::add_make(result, target, find_program);
  result.start = Start{
      {cpp::started_link},
      wanted ? "the program " + target + " (" + wanted->origin + ")"
             : "the program that " + result.tool + " builds (CC_CPP_TARGET chooses among several)"};
  return result;
}

}  // namespace

Language cpp() {
  return {"cpp",
          "C and C++",
          "CMakeLists.txt, meson.build, configure.ac, or a Makefile beside sources",
          variables,
          detect,
          plan};
}

}  // namespace karreg::builder::languages_of
