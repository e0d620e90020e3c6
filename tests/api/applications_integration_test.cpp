// Applications, their domains and sizes, over HTTP against a real karreg-api and database; the test
// plays the scheduler with SQL.
#include "support/an_api.hpp"

using namespace karreg;
using namespace karreg::test;

TEST_CASE("nobody gets a part of another organisation's domain") {
  AnApi api("domains", {{"KARREG_API_APPS_DOMAIN", "example.net"}});
  const User ann = api.make_user("ann@example.org");
  const User mallory = api.make_user("mallory@example.org");
  const std::string shop = "/v2/self/applications/" + api.make_app(ann, "victim");
  const std::string trap = "/v2/self/applications/" + api.make_app(mallory, "trap");
  api.good(ann, "PUT", shop + "/vhosts/www.example.org%2Fshop");

  for (const auto* taken :
       {"victim.example.net%2Flogin", "Victim.Example.net%2Flogin%2F", "victim.example.net",
        "www.example.org", "www.example.org%2Flogin", "www.example.org%2Fshop"}) {
    INFO(taken);
    const auto refused = api.call(mallory, "PUT", trap + "/vhosts/" + taken);
    CHECK(refused.status == 409);
    CHECK_THAT(message_of(refused), Catch::Contains("is taken by another organisation"));
  }
  CHECK(api.database().value("SELECT count(*) FROM vhosts WHERE host IN ('victim.example.net', "
                             "'www.example.org')") == "2");

  // One's own host may be shared out among one's own applications, each path once.
  const std::string second = "/v2/self/applications/" + api.make_app(ann, "second");
  api.good(ann, "PUT", second + "/vhosts/www.example.org%2Fblog");
  const auto twice = api.call(ann, "PUT", second + "/vhosts/www.example.org%2Fshop");
  CHECK(twice.status == 409);
  CHECK(message_of(twice) == "the domain www.example.org/shop is taken by another application");
}

TEST_CASE("a name that an application gets by itself takes nothing from anybody") {
  AnApi api("names", {{"KARREG_API_APPS_DOMAIN", "example.net"},
                      {"KARREG_API_PUBLIC_URL", "http://Api.Example.net:8080"}});
  const User ann = api.make_user("ann@example.org");
  const User bob = api.make_user("bob@example.org");
  const std::string shop = "/v2/self/applications/" + api.make_app(ann, "shop");
  api.good(ann, "PUT", shop + "/vhosts/blog.example.net%2Fnews");
  const auto host_of = [&](const User& user, const std::string& name) {
    return api.good(user, "POST", "/v2/self/applications", Json({{"name", name}}).dump())["vhosts"]
        .at(0)["fqdn"]
        .get<std::string>();
  };
  CHECK(host_of(bob, "blog") == "blog-2.example.net/");
  CHECK(host_of(bob, "api") == "api-2.example.net/");

  const auto own = api.call(ann, "PUT", shop + "/vhosts/api.example.net%2Fv2");
  CHECK(own.status == 409);
  CHECK(message_of(own) ==
        "the domain api.example.net is the platform's own: applications cannot have it");
}

TEST_CASE("what an application cannot be is refused with the reason, and changes nothing") {
  AnApi api("refusals");
  const User ann = api.make_user("ann@example.org");
  const std::string app = "/v2/self/applications/" + api.make_app(ann, "shop");
  const Json before = api.good(ann, "GET", app);
  struct Case {
    const char* body;
    const char* message;
  };
  for (const auto& c : {
           Case{R"({"branch":"a b"})", R"("a b" is no name for a branch)"},
           Case{R"({"branch":5})",
                R"(the field "branch" of the request has the wrong type: number)"},
           Case{R"({"instanceLifetime":"TASK"})",
                "applications of lifetime TASK are not offered yet; use REGULAR"},
           Case{R"({"forceHttps":"enabled"})",
                R"(the field "forceHttps" must be ENABLED or DISABLED, not "enabled")"},
           Case{R"({"forceHttps":true})",
                R"(the field "forceHttps" of the request has the wrong type: boolean)"},
           Case{R"({"minFlavor":"M"})", "maxFlavor (XS) is smaller than minFlavor (M)"},
           Case{R"({"minFlavor":"S","maxFlavor":"pico"})",
                "maxFlavor (pico) is smaller than minFlavor (S)"},
           Case{R"({"minInstances":3})", "maxInstances (1) is below minInstances (3)"},
           Case{R"({"minInstances":0})",
                R"(the field "minInstances" must be a number of instances from 1 to 40)"},
           Case{R"({"minInstances":1.5})",
                R"(the field "minInstances" of the request must be a whole number within )"
                "bounds, not 1.5"},
           Case{R"({"name":""})", "the application name is empty; give it 1 to 64 characters"},
           Case{R"({"cancelOnPush":"yes"})",
                R"(the field "cancelOnPush" of the request has the wrong type: string)"},
           Case{R"({"sleepAfter":59})",
                R"(the field "sleepAfter" must be 0 (never), or a number of seconds from 60 to )"
                "2592000 (30 days)"},
           Case{R"({"sleepAfter":2592001})",
                R"(the field "sleepAfter" must be 0 (never), or a number of seconds from 60 to )"
                "2592000 (30 days)"},
           Case{R"({"sleepAfter":-1})",
                R"(the field "sleepAfter" must be 0 (never), or a number of seconds from 60 to )"
                "2592000 (30 days)"},
           Case{R"({"sleepAfter":"10m"})",
                R"(the field "sleepAfter" of the request has the wrong type: string)"},
           Case{R"([])", "the request body must be a JSON object, not array"},
       }) {
    INFO(c.body);
    const auto refused = api.call(ann, "PUT", app, c.body);
    CHECK(refused.status == 400);
    CHECK(message_of(refused) == c.message);
  }
  CHECK(api.good(ann, "GET", app) == before);
}

TEST_CASE("an application may sleep when its owner says so, and how it sleeps is shown") {
  AnApi api("sleep");
  const User ann = api.make_user("ann@example.org");
  const std::string app = "/v2/self/applications/" + api.make_app(ann, "shop");
  CHECK(api.good(ann, "GET", app)["sleepAfter"] == 0);
  CHECK(api.good(ann, "PUT", app, R"({"sleepAfter":600})")["sleepAfter"] == 600);
  // What is not named stays.
  CHECK(api.good(ann, "PUT", app, R"({"stickySessions":true})")["sleepAfter"] == 600);
  CHECK(api.database().value("SELECT sleep_after_s FROM apps") == "600");
  // The scheduler says it.
  api.database().query(
      "UPDATE apps SET sleep = 'asleep', sleep_since = '2026-01-01T00:00:00Z', sleep_after_s = 5");
  const auto asleep = api.good(ann, "GET", app);
  CHECK(asleep["sleep"] == "asleep");
  CHECK(asleep["sleepSince"] == 1767225600000);
  // What the platform allowed once is no reason to refuse other changes.
  api.good(ann, "PUT", app, R"({"sleepAfter":5,"stickySessions":false})");
  CHECK(api.good(ann, "PUT", app, R"({"sleepAfter":0})")["sleepAfter"] == 0);
}

TEST_CASE("a branch, once chosen, can be another one, master, or the default again") {
  AnApi api("branches");
  const User ann = api.make_user("ann@example.org");
  const std::string app = "/v2/self/applications/" + api.make_app(ann, "shop");
  const auto stored = [&] { return api.database().value("SELECT branch FROM apps"); };
  api.good(ann, "PUT", app, R"({"branch":"release/1"})");
  CHECK(stored() == "release/1");
  api.good(ann, "PUT", app, R"({"branch":null,"unknown":{"ignored":[]}})");
  CHECK(stored() == "release/1");
  api.good(ann, "PUT", app, R"({"branch":"master"})");
  CHECK(stored() == "master");
  api.good(ann, "PUT", app, R"({"branch":""})");
  CHECK(stored().empty());
}

TEST_CASE("paths and credentials that are no text are refused, not answered by the database") {
  AnApi api("bytes");
  const User ann = api.make_user("ann@example.org");
  for (const auto* path : {"/v2/self/applications/%ff", "/v2/self/applications/%C0%AF",
                           "/v2/self/applications/a%00b", "/v2/self/applications/%zz"}) {
    INFO(path);
    const auto refused = api.call(ann, "GET", path);
    CHECK(refused.status == 400);
    CHECK(message_of(refused) ==
          "the request is malformed: an escape of the path is not %XX, or no UTF-8");
  }
  CHECK(api.call("Basic /zr/", "GET", "/v2/self").status == 401);  // 0xff, ':', 0xff
  CHECK(
      api.call("OAuth oauth_token=\"%ff\", oauth_signature=\"x%26y\"", "GET", "/v2/self").status ==
      401);
}

TEST_CASE("the text of an internal error goes into the log, and its number to whoever asked") {
  AnApi api("internal");
  const User ann = api.make_user("ann@example.org");
  api.database().query("ALTER TABLE vhosts RENAME COLUMN favourite TO lost");
  const std::string app = "/v2/self/applications";
  const auto broken = api.call(ann, "POST", app, R"({"name":"shop"})");
  CHECK(broken.status == 500);
  const std::string message = message_of(broken);
  const std::string start =
      "an internal error happened; the log of the server says more under the number ";
  REQUIRE(message.starts_with(start));
  api.await_log("number=" + message.substr(start.size()));
  CHECK_THAT(api.log(), Catch::Contains("favourite"));
}

TEST_CASE("a new size reaches also an application that is on its way up") {
  AnApi api("sizes");
  const User ann = api.make_user("ann@example.org");
  const std::string id = api.make_app(ann, "shop");
  const std::string app = "/v2/self/applications/" + id;
  const std::string a_commit = api.make_commit(id);
  const auto newest = [&] {
    return api.database().value(
        "SELECT action || ' ' || instances || ' ' || flavor || ' ' || coalesce(commit_id, '-') "
        "FROM deployments ORDER BY number DESC LIMIT 1");
  };

  // Down: the next deployment has the size.
  api.good(ann, "PUT", app, R"({"minInstances":2,"maxInstances":2})");
  CHECK(newest().empty());
  // On its way for the first time.
  api.good(ann, "POST", app + "/instances?commit=" + a_commit);
  CHECK(newest() == "DEPLOY 2 XS " + a_commit);
  api.good(ann, "PUT", app, R"({"minInstances":3,"maxInstances":3})");
  CHECK(newest() == "UPSCALE 3 XS " + a_commit);
  api.good(ann, "PUT", app, R"({"minFlavor":"pico","maxFlavor":"pico"})");
  CHECK(newest() == "DOWNSCALE 3 pico " + a_commit);
  // A change of something else is no new size.
  api.good(ann, "PUT", app, R"({"description":"says hello"})");
  CHECK(api.database().value("SELECT count(*) FROM deployments") == "3");

  // In service: its own commit counts, not that of what follows.
  const std::string other = api.make_commit(id, "another version");
  api.database().query("UPDATE deployments SET state = 'OK', phase = 'ended', ended_at = now()");
  api.database().query("UPDATE apps SET commit_id = '" + a_commit +
                       "', state = 'SHOULD_BE_UP', serving_deployment = (SELECT uuid FROM "
                       "deployments WHERE number = 3)");
  api.good(ann, "POST", app + "/instances?commit=" + other);
  api.good(ann, "PUT", app, R"({"minInstances":4,"maxInstances":4})");
  CHECK(newest() == "UPSCALE 4 pico " + a_commit);

  // Coming back from a stop.
  api.database().query("UPDATE deployments SET state = 'OK', phase = 'ended', ended_at = now()");
  api.database().query("UPDATE apps SET serving_deployment = NULL, state = 'SHOULD_BE_DOWN'");
  api.good(ann, "POST", app + "/instances?commit=" + other);
  api.good(ann, "PUT", app, R"({"minInstances":5,"maxInstances":5})");
  CHECK(newest() == "UPSCALE 5 pico " + other);

  // One that is being cancelled brings nothing into service.
  api.database().query("UPDATE deployments SET state = 'CANCELLED' WHERE action <> 'DEPLOY'");
  api.database().query("UPDATE deployments SET cancel_requested = true");
  const std::string count = api.database().value("SELECT count(*) FROM deployments");
  api.good(ann, "PUT", app, R"({"minInstances":6,"maxInstances":6})");
  CHECK(api.database().value("SELECT count(*) FROM deployments") == count);
}

TEST_CASE(
    "a restart takes the version on its way, unless that is cancelled, then the one in service") {
  AnApi api("restarts");
  const User ann = api.make_user("ann@example.org");
  const std::string id = api.make_app(ann, "shop");
  const std::string instances = "/v2/self/applications/" + id + "/instances";
  const std::string in_service = api.make_commit(id);
  const std::string on_its_way = api.make_commit(id, "another version");
  const auto restarted = [&] {
    api.good(ann, "POST", instances);
    return api.database().value("SELECT commit_id FROM deployments ORDER BY number DESC LIMIT 1");
  };

  api.good(ann, "POST", instances + "?commit=" + in_service);
  api.database().query("UPDATE deployments SET state = 'FAIL', phase = 'ended', ended_at = now()");
  CHECK(restarted() == in_service);  // what was tried last

  api.database().query("UPDATE deployments SET state = 'OK', phase = 'ended', ended_at = now()");
  api.database().query("UPDATE apps SET commit_id = '" + in_service +
                       "', state = 'SHOULD_BE_UP', serving_deployment = (SELECT uuid FROM "
                       "deployments WHERE number = 2)");
  api.good(ann, "POST", instances + "?commit=" + on_its_way);
  CHECK(restarted() == on_its_way);

  api.database().query("UPDATE deployments SET cancel_requested = true WHERE state = 'WIP'");
  CHECK(restarted() == in_service);
}
