#include "builder/runtimes.hpp"

#include <sstream>

#include "a_tree.hpp"
#include "common/wire/app_types.hpp"

using namespace karreg;
using namespace karreg::builder;

TEST_CASE("every language of the table has an image, but for those that say that they have none") {
  for (const Language& language : languages()) {
    INFO(language.name);
    const bool none = language.name == "dotnet";
    CHECK(runtimes_of(language.name).empty() == none);
  }
}

TEST_CASE("every language is a type that an owner can choose, and the other way round") {
  for (const Language& language : languages())
    CHECK(wire::app_type(language.name)->name == language.name);
  for (const auto& type : wire::app_types) {
    INFO(type.name);
    CHECK((type.name == "auto" ||
           std::ranges::find(languages(), type.name, &Language::name) != languages().end()));
  }
}

TEST_CASE("no word stands for two types") {
  std::map<std::string, int> words;
  for (const auto& type : wire::app_types) {
    ++words[std::string(type.name)];
    std::istringstream also{std::string(type.also)};
    for (std::string word; also >> word;) ++words[word];
  }
  for (const auto& [word, times] : words) {
    INFO(word);
    CHECK(times == 1);
  }
}

TEST_CASE("the usual version is taken where it is allowed, else the newest that is") {
  const auto chosen = [](const std::string& range) {
    const auto found =
        choose_runtime("node", "Node.js", VersionWish{range, "x"}, "CC_NODE_VERSION");
    return found ? found->runtime : found.error().message();
  };
  CHECK(choose_runtime("node", "Node.js", std::nullopt, "")->runtime == "node");
  CHECK(chosen(">=18") == "node");
  CHECK(chosen("^20.9") == "node");
  CHECK(chosen(">20") == runtimes_of("node").front().runtime);
  CHECK(chosen("22") == "node-22");
}

TEST_CASE("a version that cannot be had is refused with those that there are") {
  const auto refused = choose_runtime(
      "node", "Node.js", VersionWish{"8", "engines.node of package.json"}, "CC_NODE_VERSION");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message().starts_with(
      "engines.node of package.json asks for Node.js 8, which cannot be had here. There are: "));
  CHECK(refused.error().message().ends_with("CC_NODE_VERSION chooses one of them."));
  CHECK(choose_runtime("node", "Node.js", VersionWish{"latest!", "x"}, "Y")
            .error()
            .message()
            .starts_with("x asks for Node.js latest!: `latest!` is no range of versions. "));
}

TEST_CASE("a plan whose version cannot be had is shown, with the problem") {
  const Files files = {
      {"package.json", R"({"engines":{"node":"8"},"scripts":{"start":"node a"}})"}};
  const auto plan = plan_of(files);
  CHECK(plan.problem.starts_with("engines.node of package.json asks for Node.js 8"));
  CHECK(run_of(plan) == "/bin/sh -c exec node a");
  CHECK(plan_of(files, {{"CC_NODE_VERSION", "20"}}).problem.empty());
}
