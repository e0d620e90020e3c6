#include "cli/rules_file.hpp"

#include <crypt.h>

#include <catch2/catch.hpp>
#include <memory>

#include "cli/whole_file.hpp"
#include "common/wire/rules.hpp"
#include "support/programs.hpp"

using namespace karreg::cli;
using nlohmann::json;

TEST_CASE("rules are written as JSON or as TOML") {
  const json rules{{"max_body_bytes", 10}, {"redirects", {{{"path", "/a"}, {"to", "/b"}}}}};
  CHECK(*parse_rules(R"( {"max_body_bytes":10,"redirects":[{"path":"/a","to":"/b"}]})") == rules);
  CHECK(*parse_rules("max_body_bytes = 10\n[[redirects]]\npath = \"/a\"\nto = \"/b\"\n") == rules);
  CHECK(*parse_rules("error_pages.503 = \"x\"") == json{{"error_pages", {{"503", "x"}}}});
  CHECK_THAT(parse_rules("{\"a\":").error().message(),
             Catch::StartsWith("the rules are not valid JSON: "));
  CHECK_THAT(parse_rules("a = 1\nb = = 2").error().message(),
             Catch::Contains("nor valid TOML: line 2: "));
}

TEST_CASE("a single field of the rules is set by its name") {
  struct Case {
    const char* before;
    const char* assignment;
    const char* after;
  };
  const auto c = GENERATE(values<Case>({
      {"{}", "maintenance.on=true", R"({"maintenance":{"on":true}})"},
      {R"({"maintenance":{"on":true,"html":"x"}})", "maintenance.on=false",
       R"({"maintenance":{"html":"x","on":false}})"},
      {"{}", "max_body_bytes=1048576", R"({"max_body_bytes":1048576})"},
      {"{}", "maintenance.html=<h1>a=b</h1>", R"({"maintenance":{"html":"<h1>a=b</h1>"}})"},
      {"{}", "addresses.allow=[\"10.0.0.0/8\"]", R"({"addresses":{"allow":["10.0.0.0/8"]}})"},
      {"{}", R"(error_pages."503"="no")", R"({"error_pages":{"503":"no"}})"},
      {R"({"rate":{"app":{"requests":1}}})", "rate.app=", R"({"rate":{}})"},
      {"{}", "rate.app.burst=", "{}"},
  }));
  CAPTURE(c.assignment);
  auto rules = json::parse(c.before);
  REQUIRE(edit_rules(rules, c.assignment));
  CHECK(rules == json::parse(c.after));
}

TEST_CASE("an assignment that names no field is refused") {
  auto rules = json::parse(R"({"redirects":[]})");
  for (const char* bad : {"", "on", "=1", ".on=1", "a..b=1", "\"a=1"})
    CHECK_THAT(edit_rules(rules, bad).error().message(),
               Catch::Contains("is not like maintenance.on=true"));
  CHECK(edit_rules(rules, "redirects.to=1").error().message() ==
        "\"redirects\" of \"redirects.to\" is no object: change the file, and set that");
}

TEST_CASE("a password becomes a hash that only it fits, another one each time") {
  const auto hash = hash_password("correct horse");
  REQUIRE(hash);
  CHECK_THAT(*hash, Catch::StartsWith("$2b$10$"));
  CHECK(*hash != *hash_password("correct horse"));
  const auto state = std::make_unique<crypt_data>();
  CHECK(crypt_r("correct horse", hash->c_str(), state.get()) == *hash);
  CHECK(crypt_r("correct horsf", hash->c_str(), state.get()) != *hash);
  CHECK_FALSE(hash_password(""));
  CHECK_FALSE(hash_password(std::string(73, 'x')));
}

TEST_CASE("the example of a set of rules can be set, and shows every kind") {
  const auto file = read_whole(karreg::test::source_file("examples/rules.toml"));
  REQUIRE(file);
  const auto rules = parse_rules(*file);
  REQUIRE(rules);
  const auto read = karreg::wire::read_rules(*rules);
  if (!read) FAIL(read.error().message());
  const auto plain = karreg::wire::rules_json(*read);
  for (const char* kind :
       {"redirects", "addresses", "basic_auth", "rate", "in_hand", "max_body_bytes", "maintenance",
        "error_pages", "security_headers", "request_headers", "response_headers", "compression",
        "client_certificates", "instance"})
    CHECK(plain.contains(kind));
}
