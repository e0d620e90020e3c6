// C++ with CMake: CMakeLists.txt decides.
//   configure, build   Release, in /app/build; CC_BUILD_COMMAND replaces both.
//   executable         the executable is asked of CMake's file API, not guessed: CC_CPP_TARGET,
//   else
//                      the only one, else the one named like the project. It becomes
//                      /app/.karreg/start. Left out when the owner gave a start command.
// Source: cmake-file-api(7), object kind "codemodel" version 2.
#include "builder/languages/table.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr const char* started_link = "/app/.karreg/start";

/// Reads the file API's reply; run by `cmake -P`. ${wanted} is CC_CPP_TARGET or empty.
constexpr std::string_view find_executable = R"cmake(cmake_policy(VERSION 3.20)
set(reply /app/build/.cmake/api/v1/reply)
file(GLOB indexes ${reply}/index-*.json)
list(SORT indexes)
list(POP_BACK indexes newest)
file(READ ${newest} index)
string(JSON codemodel_file GET "${index}" reply codemodel-v2 jsonFile)
file(READ ${reply}/${codemodel_file} codemodel)
string(JSON project GET "${codemodel}" configurations 0 projects 0 name)
string(JSON count LENGTH "${codemodel}" configurations 0 targets)
set(names "")
foreach(i RANGE ${count})
  if(i EQUAL count)
    break()
  endif()
  string(JSON target_file GET "${codemodel}" configurations 0 targets ${i} jsonFile)
  file(READ ${reply}/${target_file} target)
  string(JSON type GET "${target}" type)
  if(NOT type STREQUAL "EXECUTABLE")
    continue()
  endif()
  string(JSON name GET "${target}" name)
  string(JSON path GET "${target}" artifacts 0 path)
  list(APPEND names ${name})
  set(path_of_${name} ${path})
endforeach()
list(JOIN names ", " listed)
list(LENGTH names number)
if(number EQUAL 0)
  message(FATAL_ERROR "CMakeLists.txt builds no executable. Add one with add_executable(), or set CC_RUN_COMMAND.")
elseif(NOT wanted STREQUAL "")
  set(chosen ${wanted})
elseif(number EQUAL 1)
  set(chosen ${names})
elseif(project IN_LIST names)
  set(chosen ${project})
else()
  message(FATAL_ERROR "CMakeLists.txt builds several executables: ${listed}. Choose one with CC_CPP_TARGET=name, or set CC_RUN_COMMAND.")
endif()
if(NOT DEFINED path_of_${chosen})
  message(FATAL_ERROR "CC_CPP_TARGET=${chosen} is not an executable of CMakeLists.txt, which builds: ${listed}.")
endif()
set(file ${path_of_${chosen}})
if(NOT IS_ABSOLUTE ${file})
  set(file /app/build/${file})
endif()
if(NOT EXISTS ${file})
  message(FATAL_ERROR "The executable ${chosen} was not built: ${file} does not exist.")
endif()
file(MAKE_DIRECTORY /app/.karreg)
file(CREATE_LINK ${file} /app/.karreg/start SYMBOLIC)
message(STATUS "The app is the executable ${chosen} (${file})")
)cmake";

std::string executable_step(const std::string& wanted) {
  return "cat > /tmp/karreg-executable.cmake <<'KARREG_END'\n" + std::string(find_executable) +
         "KARREG_END\n"
         "cmake -Dwanted=" +
         shell_quote(wanted) +
         " -P /tmp/karreg-executable.cmake\n"
         "# objects are of no use to the running app\n"
         "find /app/build -name CMakeFiles -prune -exec rm -rf {} +";
}

Result<LanguagePlan> plan(const Inspection& about) {
  LanguagePlan result;
  result.tool = "cmake";
  if (about.build_command) {
    result.steps.push_back({"build", *about.build_command});
    result.reasons.push_back("Build: " + *about.build_command + " (CC_BUILD_COMMAND).");
    result.start = Error(ErrorKind::invalid,
                         "CC_BUILD_COMMAND replaces the CMake build, so that the executable is not "
                         "known: set CC_RUN_COMMAND too, or add a Procfile with a `web:` line.");
    return result;
  }
  result.steps.push_back(
      {"configure",
       "mkdir -p /app/build/.cmake/api/v1/query\n"
       "touch /app/build/.cmake/api/v1/query/codemodel-v2\n"
       "if command -v ccache >/dev/null; then\n"
       "  set -- -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache\n"
       "fi\n"
       "cmake -S /app -B /app/build -DCMAKE_BUILD_TYPE=Release \"$@\""});
  result.steps.push_back(
      {"build", "cmake --build /app/build --config Release --parallel \"$(nproc)\""});
  result.reasons.emplace_back("Build: cmake, Release, in /app/build.");
  if (about.start_given) return result;

  const auto wanted = about.settings.variable("CC_CPP_TARGET");
  result.steps.push_back({"executable", executable_step(wanted.value_or(""))});
  result.start = Start{{started_link},
                       wanted ? "the executable " + *wanted + " (CC_CPP_TARGET)"
                              : "the executable that CMake builds (CC_CPP_TARGET "
                                "chooses among several)"};
  return result;
}

}  // namespace

Language cmake() {
  return {"cpp", "C++ with CMake", "CMakeLists.txt",
          [](const SourceTree& tree, const AppSettings&) -> std::optional<std::string> {
            if (tree.has_file("CMakeLists.txt")) return "CMakeLists.txt";
            return std::nullopt;
          },
          plan};
}

}  // namespace karreg::builder::languages_of
