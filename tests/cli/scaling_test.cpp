#include "cli/scaling.hpp"

#include <catch2/catch.hpp>

using namespace karreg;
using namespace karreg::cli;

namespace {

App an_app() {
  App app;
  app.min_instances = 2;
  app.max_instances = 4;
  app.min_flavor = "XS";
  app.max_flavor = "M";
  return app;
}

ScaleWish wish(int all, int low, int high) {
  ScaleWish made;
  made.instances = all;
  made.min_instances = low;
  made.max_instances = high;
  return made;
}
ScaleWish wish(const std::string& all, const std::string& low, const std::string& high,
               const std::string& build = "") {
  ScaleWish made;
  made.flavor = all;
  made.min_flavor = low;
  made.max_flavor = high;
  made.build_flavor = build;
  return made;
}

/// "2-4 XS-M": the bounds after @p asked.
std::string after(const ScaleWish& asked) {
  REQUIRE(check_wish(asked));
  const Json body = scale_body(asked, an_app());
  return std::to_string(body["minInstances"].get<int>()) + "-" +
         std::to_string(body["maxInstances"].get<int>()) + " " +
         body["minFlavor"].get<std::string>() + "-" + body["maxFlavor"].get<std::string>();
}

}  // namespace

TEST_CASE("scaling changes what is asked and keeps the ends in order") {
  CHECK(after(wish(3, 0, 0)) == "3-3 XS-M");
  CHECK(after(wish(0, 6, 0)) == "6-6 XS-M");
  CHECK(after(wish(0, 0, 1)) == "1-1 XS-M");
  CHECK(after(wish(0, 1, 9)) == "1-9 XS-M");
  CHECK(after(wish("pico", "", "")) == "2-4 pico-pico");
  CHECK(after(wish("", "L", "")) == "2-4 L-L");
  CHECK(after(wish("", "", "nano")) == "2-4 nano-nano");
  CHECK(after(wish("", "nano", "L")) == "2-4 nano-L");
}

TEST_CASE("the build VM has a size of its own, or none") {
  const Json own = scale_body(wish("", "", "", "L"), an_app());
  CHECK(own["buildFlavor"] == "L");
  CHECK(own["separateBuild"] == true);
  const Json none = scale_body(wish("", "", "", "disabled"), an_app());
  CHECK(none["separateBuild"] == false);
  CHECK_FALSE(none.contains("buildFlavor"));
  CHECK_FALSE(scale_body(wish(1, 0, 0), an_app()).contains("separateBuild"));
}

TEST_CASE("the new bounds are told, with the size of builds only when they have their own") {
  App app = an_app();
  app.name = "shop";
  app.build_flavor = "L";
  CHECK(scale_text(app) == "shop: 2 to 4 instances, XS to M, builds on the size of the instances.");
  app.separate_build = true;
  CHECK(scale_text(app) == "shop: 2 to 4 instances, XS to M, builds on L.");
}

TEST_CASE("a wish that cannot be is refused before anything is asked of the platform") {
  struct Case {
    ScaleWish wish;
    std::string message;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {{},
       "Say what to change: --instances, --flavor, their --min- and --max- forms, or "
       "--build-flavor. `karreg status` shows how it is."},
      {wish("xss", "", ""),
       "There is no size `xss`. Sizes are: pico, nano, XS, S, M, L, XL, 2XL, "
       "3XL. Did you mean `XS`?"},
      {wish("disabled", "", ""),
       "There is no size `disabled`. Sizes are: pico, nano, XS, S, M, L, XL, 2XL, 3XL."},
      {wish(0, 3, 2), "--min-instances is more than --max-instances."},
      {wish("", "M", "S"), "--min-flavor is larger than --max-flavor."},
  }));
  const auto checked = check_wish(c.wish);
  REQUIRE_FALSE(checked);
  CHECK(checked.error().message() == c.message);
}
