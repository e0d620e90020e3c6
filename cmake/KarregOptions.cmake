# How Karreg is compiled: one interface target that every target of ours links.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  message(FATAL_ERROR
    "g++ ${CMAKE_CXX_COMPILER_VERSION} miscompiles ordinary coroutine code without a warning (double "
    "destruction of awaited arguments). Use clang 19: cmake --preset release")
endif()

set(KARREG_SANITIZE "" CACHE STRING "Sanitizers, as given to -fsanitize= (empty: none)")

add_library(karreg_options INTERFACE)
target_compile_options(karreg_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast -Werror)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # Boost.Asio's and nlohmann's macros expand in our code; -Wpedantic's extension notes about them say nothing about ours.
  target_compile_options(karreg_options INTERFACE -Wno-gnu-zero-variadic-macro-arguments)
endif()
target_include_directories(karreg_options INTERFACE ${CMAKE_SOURCE_DIR})
if(KARREG_SANITIZE)
  # function: the assembler refuses what clang emits for coroutines with it. vptr: it looks at memory through a pipe, so
  # that a program without a free descriptor (there is a test of one) would be reported for that.
  target_compile_options(karreg_options INTERFACE
    -fsanitize=${KARREG_SANITIZE} -fno-sanitize=function,vptr -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(karreg_options INTERFACE -fsanitize=${KARREG_SANITIZE})
endif()
option(KARREG_FUZZ "Fuzz targets (tests/fuzz), and code that tells them where it has been" OFF)
if(KARREG_FUZZ)
  target_compile_options(karreg_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
add_link_options(-fuse-ld=lld)

find_program(CCACHE ccache)
if(CCACHE)
  # Paths relative to the source tree, so that another checkout or build folder hits the same entries.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=true CCACHE_PCH_EXTSUM=true CCACHE_MAXSIZE=4G
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()
