#pragma once
/// How the build tools of C and C++ are driven. Each adds its steps; the last of them leaves the
/// program in @ref started_link, as the build system itself names it.

#include <string>

#include "builder/language.hpp"

namespace karreg::builder::cpp {

/// A link to the program that the build made.
inline constexpr const char* started_link = "/app/.karreg/start";

/// @p wanted: CC_CPP_TARGET, or empty. Without @p find_program the owner says how to start.
void add_cmake(LanguagePlan& plan, const std::string& wanted, bool find_program);
void add_meson(LanguagePlan& plan, const std::string& wanted, bool find_program);
void add_autotools(LanguagePlan& plan, const std::string& wanted, bool find_program,
                   bool has_configure);
void add_make(LanguagePlan& plan, const std::string& wanted, bool find_program);

}  // namespace karreg::builder::cpp
