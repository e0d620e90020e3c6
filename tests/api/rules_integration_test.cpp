// The rules that the proxy keeps for an application, over HTTP against a real karreg-api and
// database.
#include "support/an_api.hpp"

using namespace karreg;
using namespace karreg::test;

TEST_CASE("an application's rules are set, shown as they were set, and taken away") {
  AnApi api("rules");
  const User ann = api.make_user("ann@example.org");
  const std::string rules = "/v2/self/applications/" + api.make_app(ann, "shop") + "/rules";
  CHECK(api.good(ann, "GET", rules) == Json::object());
  const Json wanted = Json::parse(
      R"({"redirects":[{"path":"/a","to":"/b","status":301}],"maintenance":{"on":true,"html":"<h1>Back soon</h1>","retry_after_s":60,"allow":["192.0.2.1"]}})");
  CHECK(api.good(ann, "PUT", rules, wanted.dump()) == wanted);
  CHECK(api.good(ann, "GET", rules) == wanted);
  // Those of before are gone, also those that are not named.
  const Json other = Json::parse(R"({"max_body_bytes":10})");
  CHECK(api.good(ann, "PUT", rules, other.dump()) == other);
  CHECK(api.database().value("SELECT rules FROM apps") == R"({"max_body_bytes": 10})");
  CHECK(api.good(ann, "DELETE", rules)["type"] == "success");
  CHECK(api.good(ann, "GET", rules) == Json::object());
  CHECK(api.database().value("SELECT rules IS NULL FROM apps") == "t");
}

TEST_CASE("rules that cannot be kept are refused with their place, and change nothing") {
  AnApi api("bad_rules");
  const User ann = api.make_user("ann@example.org");
  const std::string rules = "/v2/self/applications/" + api.make_app(ann, "shop") + "/rules";
  const Json before = api.good(ann, "PUT", rules, R"({"max_body_bytes":10})");
  struct Case {
    const char* body;
    const char* message;
  };
  for (const auto& c : {
           Case{"[]", "the request body must be a JSON object, not array"},
           Case{R"({"max_body_bytes":0})",
                "rules: max_body_bytes is 0, but must be a whole number from 1 to 1099511627776"},
           Case{
               R"({"maintenance":{"html":"\u0000"}})",
               "rules: maintenance.html is \"\\u0000\", but must be HTML in UTF-8 of at most 16384 "
               "bytes, without NUL characters"},
           Case{R"({"basic_auth":{"users":{"ann":"secret"}}})",
                "rules: basic_auth.users[\"ann\"] is \"(not shown)\", but must be a hash of the "
                "password, not the password: bcrypt ($2b$, cost 4 to 12) or SHA-512 crypt ($6$, "
                "1000 to 100000 rounds), as `karreg rules password` prints it"},
       }) {
    INFO(c.body);
    const auto refused = api.call(ann, "PUT", rules, c.body);
    CHECK(refused.status == 400);
    CHECK(message_of(refused) == c.message);
  }
  Json large;
  for (const char* status : {"403", "413", "429", "502", "503"})
    large["error_pages"][status] = std::string(16'000, 'x');
  CHECK(api.call(ann, "PUT", rules, large.dump()).status == 413);
  CHECK(api.good(ann, "GET", rules) == before);
}

TEST_CASE("nobody sees or sets the rules of another organisation's application") {
  AnApi api("rules_of_others");
  const User ann = api.make_user("ann@example.org");
  const User mallory = api.make_user("mallory@example.org");
  const std::string rules = "/v2/self/applications/" + api.make_app(ann, "shop") + "/rules";
  CHECK(api.call(mallory, "GET", rules).status == 404);
  CHECK(api.call(mallory, "PUT", rules, "{}").status == 404);
  CHECK(api.call(mallory, "DELETE", rules).status == 404);
}
