// CMake: Release, in /app/build. The executable is asked of its file API, not guessed:
// CC_CPP_TARGET, else the only one, else the one named like the project. Source: cmake-file-api(7),
// object kind "codemodel" version 2.
#include "builder/languages/cpp/tools.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::cpp {
namespace {

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
  if(NOT IS_ABSOLUTE ${path})
    set(path /app/build/${path})
  endif()
  # What `all` leaves out does not count.
  if(EXISTS ${path} OR "${name}" STREQUAL "${wanted}")
    list(APPEND names ${name})
    set(path_of_${name} ${path})
  endif()
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

}  // namespace

void add_cmake(LanguagePlan& plan, const std::string& wanted, bool find_program) {
  plan.step("configure",
            "mkdir -p /app/build/.cmake/api/v1/query\n"
            "touch /app/build/.cmake/api/v1/query/codemodel-v2\n"
            "if command -v ccache >/dev/null; then\n"
            "  set -- -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache\n"
            "fi\n"
            "cmake -S /app -B /app/build -DCMAKE_BUILD_TYPE=Release \"$@\"");
  plan.step("build", "cmake --build /app/build --config Release --parallel \"$(nproc)\"");
  plan.reason("Build: cmake, Release, in /app/build.");
  if (find_program) plan.step("executable", executable_step(wanted));
}

}  // namespace karreg::builder::cpp
