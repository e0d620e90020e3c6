#include "cli/roll.hpp"

#include "a_session.hpp"

using namespace karreg;
using namespace karreg::cli;

using Lines = std::vector<std::string>;

namespace {

Roll a_roll(const char* apps, const char* state = "running") {
  auto roll = parse_roll(Json{{"id", "roll_1"},
                              {"state", state},
                              {"author", "Ann"},
                              {"requestedAt", "2026-01-31T12:00:00.000Z"},
                              {"apps", Json::parse(apps)}});
  REQUIRE(roll);
  return *roll;
}

}  // namespace

TEST_CASE("an app on an older image is shown with the packages that differ") {
  const auto apps = parse_outdated(Json::parse(
      R"([{"name":"shop","runtime":"node","image":"0123456789abcdef","newImage":"fedcba9876543210",)"
      R"("packages":[{"name":"curl","from":null,"to":"8.14"},{"name":"openssl","from":"3.5.1","to":"3.5.2"},)"
      R"({"name":"telnet","from":"0.17","to":null}],"packagesUnknown":null,"rebuild":null},)"
      R"({"name":"blog","runtime":"php","image":"a","newImage":"b","packages":null,)"
      R"("packagesUnknown":"the manifest is gone","rebuild":"php is 8.4 instead of 8.2"},)"
      R"({"name":"same","runtime":"php","image":"a","newImage":"b","packages":[]}])"));
  REQUIRE(apps);
  REQUIRE(apps->size() == 3);
  CHECK(rendered((*apps)[0]) ==
        Lines{"shop (node): 0123456789ab -> fedcba987654, 3 packages differ, no build needed",
              "    curl     - -> 8.14", "    openssl  3.5.1 -> 3.5.2", "    telnet   0.17 -> -"});
  CHECK(rendered((*apps)[1]) == Lines{"blog (php): a -> b, packages not known, to be built again: "
                                      "php is 8.4 instead of 8.2",
                                      "    the manifest is gone"});
  CHECK(rendered((*apps)[2]) == Lines{"same (php): a -> b, no package differs, no build needed"});
  for (const char* none : {"{}", "null", "[5]", "[{}]"})
    CHECK_FALSE(parse_outdated(Json::parse(none)));
}

TEST_CASE("what is new of a roll is shown, app by app") {
  const auto first = a_roll(
      R"([{"name":"a","wave":1,"state":"deploying","message":""},{"name":"b","wave":2,"state":"waiting","message":""}])");
  CHECK(extent(first) == "2 apps in 2 waves");
  CHECK(changes(std::nullopt, first) == Lines{"wave 1 of 2: a deploying"});
  CHECK(changes(first, first).empty());
  const auto then = a_roll(
      R"([{"name":"a","wave":1,"state":"failed","message":"the app exited"},{"name":"b","wave":2,"state":"untouched","message":""}])",
      "stopped");
  CHECK(changes(first, then) ==
        Lines{"wave 1 of 2: a failed: the app exited", "wave 2 of 2: b untouched"});
  CHECK(exit_code_of(first) == 0);
  CHECK(exit_code_of(then) == 1);
  CHECK(exit_code_of(a_roll("[]", "cancelled")) == 1);
  CHECK(exit_code_of(a_roll("[]", "done")) == 0);
  CHECK(extent(a_roll(R"([{"name":"a","wave":1,"state":"done"}])")) == "1 app in 1 wave");
  for (const char* none :
       {"[]", "null", "{}", R"({"id":"roll_1"})", R"({"id":"roll_1","state":"done","apps":[5]})"})
    CHECK_FALSE(parse_roll(Json::parse(none)));
}

TEST_CASE("a roll of an owner's apps, or of apps, not both; and a wave has a size") {
  SessionFixture fixture;
  CHECK(fixture.run({"images", "roll", "--org", "o", "--app", "a"}) == 2);
  CHECK_THAT(fixture.err(), Catch::Contains("Give --org or --app, not both"));
  CHECK(fixture.run({"images", "roll", "--wave", "0"}) == 2);
  CHECK(fixture.run({"images"}) == 2);
}
