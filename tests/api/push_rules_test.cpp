// What becomes of each ref of a push.
#include "api/git/push_rules.hpp"

#include <catch2/catch.hpp>

using namespace karreg::api::git;

namespace {
const std::string zero(40, '0');
const std::string one(40, '1');

RefCommand update_of(const std::string& ref) {
  return {zero, one, ref};
}
}  // namespace

TEST_CASE("master and main deploy while the owner chose no branch", "[api]") {
  for (const char* ref : {"refs/heads/master", "refs/heads/main"}) {
    INFO(ref);
    const auto verdicts = judge({update_of(ref)}, std::nullopt);
    CHECK(verdicts[0].kind == Verdict::Kind::deploy);
  }
}

TEST_CASE("only the chosen branch deploys, others are stored with a hint", "[api]") {
  const auto verdicts =
      judge({update_of("refs/heads/release/2"), update_of("refs/heads/master")}, "release/2");
  CHECK(verdicts[0].kind == Verdict::Kind::deploy);
  CHECK(verdicts[1].kind == Verdict::Kind::store);
  CHECK(verdicts[1].text ==
        "Branch master is stored but not deployed: only release/2 deploys. To deploy this one: "
        "git push <remote> master:release/2");
  const auto other = judge({update_of("refs/heads/dev")}, std::nullopt);
  CHECK(other[0].kind == Verdict::Kind::store);
  CHECK(other[0].text ==
        "Branch dev is stored but not deployed: only master or main deploys. To deploy this one: "
        "git push <remote> dev:master");
}

TEST_CASE("branches are not deleted", "[api]") {
  const auto verdicts = judge({{one, zero, "refs/heads/master"}}, std::nullopt);
  CHECK(verdicts[0].kind == Verdict::Kind::refuse);
  CHECK(verdicts[0].text == "branches cannot be deleted");
}

TEST_CASE("two deploying branches in one push are both refused", "[api]") {
  const auto verdicts = judge(
      {update_of("refs/heads/main"), update_of("refs/heads/dev"), update_of("refs/heads/master")},
      std::nullopt);
  CHECK(verdicts[0].kind == Verdict::Kind::refuse);
  CHECK(verdicts[1].kind == Verdict::Kind::store);
  CHECK(verdicts[2].kind == Verdict::Kind::refuse);
  CHECK(verdicts[0].text == "main and master both deploy: push one of them at a time");
}

TEST_CASE("the reason of a refusal is one bounded line", "[api]") {
  CHECK(reason_line("it failed\nbecause") == "it failed");
  CHECK(reason_line("a\tb\x1b[31m") == "a b [31m");
  CHECK(reason_line(std::string(600, 'x')) == std::string(500, 'x'));
  CHECK(reason_line(std::string(499, 'x') + "\xc3\xa9") == std::string(499, 'x'));
}
