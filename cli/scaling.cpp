#include "cli/scaling.hpp"

#include <optional>
#include <vector>

#include "common/flavors.hpp"
#include "common/suggest.hpp"

namespace karreg::cli {
namespace {

constexpr const char* no_build_vm = "disabled";

/// Place of @p name among the sizes, smallest first.
std::optional<std::size_t> rank(const std::string& name) {
  for (std::size_t i = 0; i < flavors.size(); ++i)
    if (flavors[i].name == name) return i;
  return std::nullopt;
}

Error unknown_size(const std::string& name) {
  std::vector<std::string> known;
  std::string listed;
  for (const Flavor& flavor : flavors) {
    known.emplace_back(flavor.name);
    listed += (listed.empty() ? "" : ", ") + known.back();
  }
  return {ErrorKind::invalid, "There is no size `" + name + "`. Sizes are: " + listed + "." +
                                  did_you_mean(name, known)};
}

}  // namespace

Result<void> check_wish(const ScaleWish& wish) {
  if (wish.instances == 0 && wish.min_instances == 0 && wish.max_instances == 0 &&
      wish.flavor.empty() && wish.min_flavor.empty() && wish.max_flavor.empty() &&
      wish.build_flavor.empty())
    return Error(ErrorKind::invalid,
                 "Say what to change: --instances, --flavor, their --min- and --max- forms, or "
                 "--build-flavor. `karreg status` shows how it is.");
  for (const std::string* name : {&wish.flavor, &wish.min_flavor, &wish.max_flavor})
    if (!name->empty() && !rank(*name)) return unknown_size(*name);
  if (!wish.build_flavor.empty() && wish.build_flavor != no_build_vm && !rank(wish.build_flavor))
    return unknown_size(wish.build_flavor);
  if (wish.min_instances > 0 && wish.max_instances > 0 && wish.min_instances > wish.max_instances)
    return Error(ErrorKind::invalid, "--min-instances is more than --max-instances.");
  if (!wish.min_flavor.empty() && !wish.max_flavor.empty() &&
      rank(wish.min_flavor) > rank(wish.max_flavor))
    return Error(ErrorKind::invalid, "--min-flavor is larger than --max-flavor.");
  return ok();
}

Json scale_body(const ScaleWish& wish, const App& app) {
  int low = wish.instances > 0 ? wish.instances : app.min_instances;
  int high = wish.instances > 0 ? wish.instances : app.max_instances;
  if (wish.min_instances > 0) low = wish.min_instances;
  if (wish.max_instances > 0) high = wish.max_instances;
  if (low > high) (wish.max_instances > 0 ? low : high) = wish.max_instances > 0 ? high : low;

  std::string small = wish.flavor.empty() ? app.min_flavor : wish.flavor;
  std::string large = wish.flavor.empty() ? app.max_flavor : wish.flavor;
  if (!wish.min_flavor.empty()) small = wish.min_flavor;
  if (!wish.max_flavor.empty()) large = wish.max_flavor;
  if (rank(small) > rank(large))
    (wish.max_flavor.empty() ? large : small) = wish.max_flavor.empty() ? small : large;

  Json body = {
      {"minInstances", low}, {"maxInstances", high}, {"minFlavor", small}, {"maxFlavor", large}};
  if (!wish.build_flavor.empty()) {
    body["separateBuild"] = wish.build_flavor != no_build_vm;
    if (wish.build_flavor != no_build_vm) body["buildFlavor"] = wish.build_flavor;
  }
  return body;
}

std::string scale_text(const App& app) {
  return app.name + ": " + std::to_string(app.min_instances) + " to " +
         std::to_string(app.max_instances) + " instances, " + app.min_flavor + " to " +
         app.max_flavor + ", builds on " +
         (app.separate_build ? app.build_flavor : "the size of the instances") + ".";
}

}  // namespace karreg::cli
