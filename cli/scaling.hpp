#pragma once
/// What `karreg scale` asks for, turned into the app's new bounds.

#include <string>

#include "cli/model.hpp"
#include "common/error.hpp"

namespace karreg::cli {

/// Unset: 0 and "". `instances` and `flavor` set both ends.
struct ScaleWish {
  int instances = 0;
  int min_instances = 0;
  int max_instances = 0;
  std::string flavor;
  std::string min_flavor;
  std::string max_flavor;
  std::string build_flavor;  ///< or "disabled"
};

/// Error `invalid`: nothing is asked for, an unknown size, or ends that cross.
Result<void> check_wish(const ScaleWish& wish);

/// The body of the change. One end given alone moves the other where they would cross.
Json scale_body(const ScaleWish& wish, const App& app);

/// The bounds of @p app in words: "shop: 1 to 2 instances, XS to M, builds on L."
std::string scale_text(const App& app);

}  // namespace karreg::cli
