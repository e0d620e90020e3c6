// Apps on older images, and rolls, over HTTP against a real karreg-api and database; the test plays
// the scheduler.
#include "support/an_api.hpp"

using namespace karreg;
using namespace karreg::test;

namespace {

struct WithImages : AnApi {
  User ann = make_user("ann@example.org");
  const std::string outdated = "/v2/self/images/outdated";
  const std::string rolls = "/v2/self/images/rolls";

  explicit WithImages(const std::string& purpose) : AnApi(purpose) {
    image("one", "20.19.2", R"({"bash":"5.2","openssl":"3.5.1"})", false);
    image("two", "20.19.5", R"({"bash":"5.2","openssl":"3.5.2"})", true);
  }
  void image(const std::string& digest, const std::string& node, const std::string& packages,
             bool current) {
    database().query(
        "INSERT INTO images (runtime, digest, version, versions, packages, current) "
        "VALUES ('node', '" +
        digest + "', 'node run', '{\"node\": \"" + node + "\"}', '" + packages + "', " +
        (current ? "true" : "false") + ")");
  }
  /// A new app of @p user that is served on @p image.
  std::string serve(const User& user, const std::string& name, const std::string& image) {
    const std::string app = make_app(user, name);
    database().query(
        "INSERT INTO artifacts (digest, bytes, runtime, plan) VALUES ('digest', 4096, 'node', "
        "'{}') ON CONFLICT DO NOTHING;"
        "INSERT INTO deployments (uuid, app_id, number, action, cause, author, commit_id, flavor, "
        "state, phase, artifact_digest, runtime, run_image, ended_at) VALUES ('deployment_" +
        name + "', '" + app +
        "', 1, 'DEPLOY', 'Git push', 'ann', 'c0ffee', 'S', 'OK', 'ended', 'digest', 'node', '" +
        image +
        "', now());"
        "UPDATE apps SET serving_deployment = 'deployment_" +
        name + "', state = 'SHOULD_BE_UP' WHERE id = '" + app + "'");
    return app;
  }
};

}  // namespace

TEST_CASE("apps on an older image are listed with the packages that differ") {
  WithImages api("outdated");
  CHECK(api.good(api.ann, "GET", api.outdated) == Json::array());
  const std::string shop = api.serve(api.ann, "shop", "one");
  api.serve(api.ann, "blog", "two");
  api.serve(api.make_user("bob@example.org"), "other", "one");
  const std::string stopped = api.serve(api.ann, "stopped", "one");
  api.database().query("UPDATE apps SET serving_deployment = NULL WHERE id = '" + stopped + "'");
  Json found = api.good(api.ann, "GET", api.outdated);
  REQUIRE(found.size() == 1);
  CHECK(found[0]["appId"] == shop);
  CHECK(found[0]["name"] == "shop");
  CHECK(found[0]["runtime"] == "node");
  CHECK(found[0]["image"] == "one");
  CHECK(found[0]["newImage"] == "two");
  CHECK(found[0]["packages"] == Json::parse(R"([{"name":"openssl","from":"3.5.1","to":"3.5.2"}])"));
  CHECK(found[0]["packagesUnknown"].is_null());
  CHECK(found[0]["rebuild"].is_null());
  CHECK(found[0]["toldAt"].is_null());
  const std::string owner = found[0]["ownerId"];
  CHECK(api.good(api.ann, "GET", "/v2/organisations/" + owner + "/images/outdated") == found);
  const User mallory = api.make_user("mallory@example.org");
  CHECK(api.call(mallory, "GET", "/v2/organisations/" + owner + "/images/outdated").status == 404);
}

TEST_CASE("an image whose manifest is gone, or that nobody knows, is said to be so") {
  WithImages api("unknown_packages");
  api.serve(api.ann, "shop", "one");
  api.database().query("UPDATE images SET packages = NULL WHERE digest = 'one'");
  Json found = api.good(api.ann, "GET", api.outdated)[0];
  CHECK(found["packages"].is_null());
  CHECK(found["packagesUnknown"] ==
        "the manifest of the image one was not in the image store when the platform looked");
  CHECK(found["rebuild"].is_null());
  api.database().query("DELETE FROM images WHERE digest = 'one'");
  found = api.good(api.ann, "GET", api.outdated)[0];
  CHECK(found["packages"].is_null());
  CHECK(found["rebuild"] == "the versions in the image that it runs on are not known");
  api.database().query("UPDATE images SET packages = NULL WHERE digest = 'two'");
  CHECK_FALSE(api.good(api.ann, "GET", api.outdated)[0]["packagesUnknown"].is_null());
}

TEST_CASE("what has to be built again is said, with the reason") {
  WithImages api("rebuild");
  api.image("three", "20.18.1", "{}", false);
  api.serve(api.ann, "minor", "three");
  api.serve(api.ann, "swept", "one");
  api.database().query(
      "UPDATE deployments SET artifact_digest = NULL WHERE uuid = 'deployment_swept'");
  const Json found = api.good(api.ann, "GET", api.outdated);
  REQUIRE(found.size() == 2);
  CHECK(found[0]["rebuild"] == "node is 20.19 instead of 20.18");
  CHECK(found[1]["rebuild"] == "what was built is not kept any more");
}

TEST_CASE("a roll takes what is outdated, by name, in waves; one at a time; and can be cancelled") {
  WithImages api("rolls");
  const auto nothing = api.call(api.ann, "POST", api.rolls);
  CHECK(nothing.status == 409);
  CHECK(message_of(nothing) == "no application runs on an older image: there is nothing to roll");
  for (const auto* name : {"c", "a", "b"}) api.serve(api.ann, name, "one");
  api.serve(api.ann, "new", "two");
  const Json roll = api.good(api.ann, "POST", api.rolls, R"({"wave":2})");
  CHECK(roll["state"] == "running");
  CHECK(roll["wave"] == 2);
  CHECK(roll["author"] == "Somebody");
  CHECK(roll["endedAt"].is_null());
  REQUIRE(roll["apps"].size() == 3);
  std::string apps;
  for (const auto& app : roll["apps"])
    apps += app["name"].get<std::string>() + std::to_string(app["wave"].get<int>()) + " ";
  CHECK(apps == "a1 b1 c2 ");
  CHECK(roll["apps"][0]["state"] == "waiting");
  CHECK(roll["apps"][0]["deploymentId"].is_null());
  const std::string id = roll["id"];
  const auto second = api.call(api.ann, "POST", api.rolls);
  CHECK(second.status == 409);
  CHECK(message_of(second) == "the roll " + id + " is under way: wait for its end, or cancel it");
  CHECK(api.good(api.ann, "GET", api.rolls + "/" + id) == roll);
  api.good(api.ann, "DELETE", api.rolls + "/" + id);
  CHECK(api.good(api.ann, "GET", api.rolls + "/" + id)["cancelRequested"] == true);
  api.database().query(
      "UPDATE rolls SET state = 'cancelled', ended_at = now(), message = 'cancelled on request'");
  const auto over = api.call(api.ann, "DELETE", api.rolls + "/" + id);
  CHECK(over.status == 409);
  CHECK(message_of(over) == "the roll is over: cancelled");
  const Json next = api.good(api.ann, "POST", api.rolls, "{}");
  CHECK(next["wave"] == 5);
  const Json all = api.good(api.ann, "GET", api.rolls);
  REQUIRE(all.size() == 2);
  CHECK(all[0]["id"] == next["id"]);
  CHECK(all[1]["message"] == "cancelled on request");
}

TEST_CASE("a roll may name its apps, and what is wrong with one is said") {
  WithImages api("roll_wrong");
  const std::string shop = api.serve(api.ann, "shop", "two");
  const User bob = api.make_user("bob@example.org");
  const std::string foreign = api.serve(bob, "foreign", "one");
  const auto why = [&](const std::string& body, int status) {
    const auto answer = api.call(api.ann, "POST", api.rolls, body);
    CHECK(answer.status == status);
    return message_of(answer);
  };
  CHECK(why(R"({"wave":0})", 400) ==
        "the field \"wave\" must be a number of applications from 1 to 1000, not 0");
  CHECK(why(R"({"wave":1001})", 400) ==
        "the field \"wave\" must be a number of applications from 1 to 1000, not 1001");
  CHECK_THAT(why(R"({"wave":"two"})", 400), Catch::Contains("wrong type"));
  CHECK(why(R"({"apps":[]})", 400) ==
        "the field \"apps\" names no application: leave it out for all that are outdated");
  CHECK_THAT(why(R"({"apps":"shop"})", 400), Catch::Contains("wrong type"));
  CHECK(why(Json({{"apps", {shop, foreign}}}).dump(), 404) ==
        "there is no application " + foreign + " of this owner that you can see");
  CHECK(api.database().value("SELECT count(*) FROM rolls") == "0");
  // What is named is taken though it is current: the scheduler skips it.
  const Json roll = api.good(api.ann, "POST", api.rolls, Json({{"apps", {shop, shop}}}).dump());
  REQUIRE(roll["apps"].size() == 1);
  const std::string id = roll["id"];
  CHECK(api.call(bob, "GET", api.rolls + "/" + id).status == 404);
  CHECK(api.call(bob, "DELETE", api.rolls + "/" + id).status == 404);
  // One owner's roll is none of another's.
  api.good(bob, "POST", api.rolls);
}
