#include "cli/link.hpp"

#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::cli;
using namespace karreg::test;

namespace {
LinkedApp an_app(const std::string& alias) {
  return {alias, "app_" + alias, "orga_1", alias, "https://git.example.org/" + alias + ".git"};
}
}  // namespace

TEST_CASE("links are stored beside the code and found from below") {
  const ScratchFolder scratch;
  auto links = find_links(scratch.path());
  REQUIRE(links);
  CHECK(links->apps.empty());
  REQUIRE(add_link(*links, an_app("shop")));
  REQUIRE(save_links(*links));
  std::filesystem::create_directories(scratch / "src/deep");
  const auto found = find_links(scratch / "src/deep");
  REQUIRE(found);
  CHECK(found->file == scratch / ".karreg.json");
  REQUIRE(found->apps.size() == 1);
  CHECK(found->apps[0].id == "app_shop");
  CHECK(found->apps[0].git_url == "https://git.example.org/shop.git");
}

TEST_CASE("the only link needs no alias, one of several does") {
  Links links;
  CHECK(choose_link(links, "").error().message() ==
        "No app is linked to this folder. Run `karreg link APP` (`karreg list` shows them) or "
        "`karreg create NAME`, or name one with --app.");
  REQUIRE(add_link(links, an_app("shop")));
  CHECK(choose_link(links, "")->id == "app_shop");
  REQUIRE(add_link(links, an_app("staging")));
  CHECK(choose_link(links, "").error().message() ==
        "Several apps are linked to this folder: shop, staging. Choose one with --alias.");
  CHECK(choose_link(links, "staging")->id == "app_staging");
  CHECK(choose_link(links, "stagin").error().message() ==
        "No app is linked as `stagin`. Linked are: shop, staging. Did you mean `staging`?");
}

TEST_CASE("an alias belongs to one app") {
  Links links;
  REQUIRE(add_link(links, an_app("shop")));
  LinkedApp other = an_app("shop");
  other.name = "renamed";
  REQUIRE(add_link(links, other));
  CHECK(links.apps.size() == 1);
  CHECK(links.apps[0].name == "renamed");
  other.id = "app_other";
  CHECK(add_link(links, other).error().message() ==
        "The alias `shop` is taken by app_shop. Choose another with --alias, or run `karreg unlink "
        "shop` first.");
}

TEST_CASE("the file goes with the last link") {
  const ScratchFolder scratch;
  auto links = find_links(scratch.path());
  REQUIRE(add_link(*links, an_app("shop")));
  REQUIRE(save_links(*links));
  CHECK(remove_link(*links, "")->id == "app_shop");
  REQUIRE(save_links(*links));
  CHECK_FALSE(std::filesystem::exists(scratch / ".karreg.json"));
}

TEST_CASE("a broken link file is named") {
  const ScratchFolder scratch;
  for (const char* text : {"x", "{}", R"({"apps":[{"alias":"a"}]})", R"({"apps":[3]})"}) {
    write_file(scratch / ".karreg.json", text);
    CHECK(find_links(scratch.path()).error().message() ==
          (scratch / ".karreg.json").string() +
              " is not a list of linked apps. Mend it, or remove it and run `karreg link`.");
  }
}
