# karreg_room(NAME SOURCES... LIBS...): the static library of a room.
function(karreg_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC karreg_options ${ARG_LIBS})
  karreg_precompile(${name})
endfunction()

# What a machine that runs Karreg needs, without the tests of it.
add_custom_target(programs)

# karreg_program(NAME SOURCES... LIBS...): a thin main over rooms.
function(karreg_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE karreg_options ${ARG_LIBS})
  karreg_precompile(${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  add_dependencies(programs ${name})
endfunction()

# karreg_test(NAME KIND SOURCES... LIBS...): one Catch2 binary; KIND is unit, integration, simulation or guards (the CTest label).
# One that takes minutes has a property COST, about its seconds: ./dev test begins the dearest first.
function(karreg_test name kind)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE karreg_options karreg_catch_main ${ARG_LIBS})
  karreg_precompile(${name})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} --use-colour no)
  # Seconds: what starts programs and VMs may take longer, and with sanitizers twice as long.
  set(limit 300)
  if(kind STREQUAL integration)
    set(limit 600)
  endif()
  if(KARREG_SANITIZE)
    math(EXPR limit "2 * ${limit}")
  endif()
  set_tests_properties(${name} PROPERTIES LABELS ${kind} TIMEOUT ${limit})
endfunction()
