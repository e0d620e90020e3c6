#pragma once
/// "Did you mean ...?"

#include <string>
#include <string_view>
#include <vector>

namespace karreg {

/// Edits (insert, delete, replace, swap of neighbours) that turn @p a into @p b, without regard to
/// ASCII case. Source: optimal string alignment distance, Damerau 1964.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The one of @p known that is nearest to @p word; empty when none is near (more than a third of
/// the word's letters differ) and none begins with it.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

/// " Did you mean `deploy`?", or nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

}  // namespace karreg
