#include "builder/languages/table.hpp"

#include <array>

namespace karreg::builder {

std::span<const Language> languages() {
  // The order decides when several match: what has a manifest of dependencies comes before what
  // only has files.
  static const std::array table = {
      languages_of::node(),
      languages_of::python(),
      languages_of::cmake(),
      languages_of::static_site(),
  };
  return table;
}

}  // namespace karreg::builder
