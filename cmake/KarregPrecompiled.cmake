# Precompiled headers, one set for all targets that link Asio and one for all others: most of what a compiler reads here are
# the same third-party headers. -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON compiles without, which finds a file that includes
# less than it uses.
add_library(karreg_precompiled OBJECT cmake/precompiled.cpp)
target_link_libraries(karreg_precompiled PRIVATE karreg_options nlohmann_json::nlohmann_json spdlog::spdlog fmt::fmt)
target_precompile_headers(karreg_precompiled PRIVATE cmake/precompiled.hpp)
add_library(karreg_precompiled_asio OBJECT cmake/precompiled.cpp)
target_link_libraries(karreg_precompiled_asio PRIVATE
  karreg_options karreg_asio nlohmann_json::nlohmann_json spdlog::spdlog fmt::fmt)
target_precompile_headers(karreg_precompiled_asio PRIVATE cmake/precompiled_asio.hpp)
set_target_properties(karreg_precompiled karreg_precompiled_asio PROPERTIES
  CXX_COMPILER_LAUNCHER ${CMAKE_SOURCE_DIR}/cmake/precompile.sh)
# CMake would name its header, too: an absolute path, which ccache takes for a difference between two checkouts.
set(CMAKE_CXX_COMPILE_OPTIONS_USE_PCH -Xclang -include-pch -Xclang <PCH_FILE>)
# ccache asks for it: a time in the file would make it another one each time.
target_compile_options(karreg_options INTERFACE "SHELL:-Xclang -fno-pch-timestamp")

# _karreg_links(OUT TARGET LIBRARY): whether the target links the library, itself or through another.
function(_karreg_links out target library)
  set(${out} FALSE PARENT_SCOPE)
  foreach(property LINK_LIBRARIES INTERFACE_LINK_LIBRARIES)
    get_target_property(linked ${target} ${property})
    foreach(other ${linked})
      set(found FALSE)
      if(other STREQUAL library)
        set(found TRUE)
      elseif(TARGET ${other})
        _karreg_links(found ${other} ${library})
      elseif(other MATCHES "^karreg")
        message(FATAL_ERROR "${target} links ${other}, which is not there yet: add its folder first")
      endif()
      if(found)
        set(${out} TRUE PARENT_SCOPE)
        return()
      endif()
    endforeach()
  endforeach()
endfunction()

# karreg_precompile(TARGET): compiles it with them. What it links must be there already.
function(karreg_precompile target)
  _karreg_links(asio ${target} karreg_asio)
  if(asio)
    target_precompile_headers(${target} REUSE_FROM karreg_precompiled_asio)
  else()
    target_precompile_headers(${target} REUSE_FROM karreg_precompiled)
  endif()
endfunction()
