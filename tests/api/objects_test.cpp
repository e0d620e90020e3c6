// The objects that existing client software reads: every field that the compatibility contract
// lists is there, with the type it expects.
#include "api/clever/objects.hpp"

#include <catch2/catch.hpp>

using namespace karreg;
using namespace karreg::api;
using namespace karreg::api::clever;
using nlohmann::json;

namespace {

/// @p fields: "name:type", where type is one letter: s string, n integer, b boolean, a array,
/// o object, 0 null.
void check_fields(const json& object, const std::vector<std::string>& fields) {
  REQUIRE(object.is_object());
  for (const auto& field : fields) {
    const auto colon = field.find(':');
    const std::string name = field.substr(0, colon);
    INFO(name << " in " << object.dump());
    REQUIRE(object.contains(name));
    const json& value = object[name];
    switch (field[colon + 1]) {
      case 's':
        CHECK(value.is_string());
        break;
      case 'n':
        CHECK(value.is_number_integer());
        break;
      case 'b':
        CHECK(value.is_boolean());
        break;
      case 'a':
        CHECK(value.is_array());
        break;
      case 'o':
        CHECK(value.is_object());
        break;
      default:
        CHECK(value.is_null());
    }
  }
}

Settings the_settings() {
  Settings settings;
  settings.public_url = "https://api.example.org";
  settings.apps_scheme = "http";
  settings.apps_port = 8081;
  return settings;
}

App an_app() {
  App app;
  app.id = "app_1";
  app.org_id = "orga_1";
  app.name = "hello";
  app.description = "says hello";
  app.zone = "par";
  app.variant = "node";
  app.state = "SHOULD_BE_UP";
  app.min_flavor = "XS";
  app.max_flavor = "S";
  app.build_flavor = "M";
  app.lifetime = "REGULAR";
  app.created_ms = 1767225600000;
  app.vhosts = {{"hello.localhost", "/", false}, {"example.com", "/api/", true}};
  return app;
}

Deployment a_deployment(const std::string& state) {
  Deployment d;
  d.uuid = "deployment_1";
  d.app_id = "app_1";
  d.number = 3;
  d.action = "DEPLOY";
  d.cause = "Git push";
  d.author = "Ann";
  d.commit = std::string(40, 'a');
  d.instances = 2;
  d.state = state;
  d.phase = state == "WIP" ? "queued" : "ended";
  d.requested_ms = 1767225600123;
  if (state != "WIP") d.ended_ms = 1767225660000;
  return d;
}

}  // namespace

TEST_CASE("an application has every field that clients read", "[api]") {
  const json app = app_json(an_app(), the_settings());
  check_fields(app, {"id:s",           "name:s",          "description:s", "ownerId:s",
                     "zone:s",         "creationDate:n",  "state:s",       "commitId:0",
                     "branch:s",       "instance:o",      "deployment:o",  "vhosts:a",
                     "buildFlavor:o",  "separateBuild:b", "homogeneous:b", "stickySessions:b",
                     "cancelOnPush:b", "forceHttps:s",    "env:a",         "deployUrl:s",
                     "sleepAfter:n",   "sleep:s",         "sleepSince:0"});
  check_fields(app["instance"], {"type:s", "version:s", "lifetime:s", "variant:o", "minInstances:n",
                                 "maxInstances:n", "minFlavor:o", "maxFlavor:o", "flavors:a",
                                 "maxAllowedInstances:n"});
  check_fields(app["instance"]["variant"], {"id:s", "slug:s", "name:s"});
  check_fields(app["deployment"], {"type:s", "url:s", "httpUrl:s"});
  CHECK(app["deployment"]["httpUrl"] == "https://api.example.org/git/app_1.git");
  CHECK(app["instance"]["minFlavor"]["name"] == "XS");
  CHECK(app["buildFlavor"]["name"] == "M");
  CHECK(app["forceHttps"] == "DISABLED");
  CHECK(app["sleepAfter"] == 0);
  CHECK(app["sleep"] == "awake");
  CHECK(app["branch"] == "master");
  CHECK(app["vhosts"] ==
        json::array({{{"fqdn", "hello.localhost/"}}, {{"fqdn", "example.com/api"}}}));
}

TEST_CASE("a commit in service is shown as the application's commit", "[api]") {
  App app = an_app();
  app.commit = std::string(40, 'b');
  CHECK(app_json(app, the_settings())["commitId"] == std::string(40, 'b'));
  CHECK(summary_app_json(app)["commit"] == std::string(40, 'b'));
}

TEST_CASE("an application of the summary has every field that clients read", "[api]") {
  check_fields(summary_app_json(an_app()), {"id:s", "name:s", "variantSlug:s", "instanceType:s",
                                            "creationDate:n", "state:s", "commit:0"});
}

TEST_CASE("a user has every field that clients read", "[api]") {
  const json user = user_json({"user_1", "a@example.org", "Ann", 1767225600000, true});
  check_fields(user, {"id:s", "email:s", "name:s", "avatar:0", "creationDate:n", "lang:s",
                      "preferredMFA:s", "hasPassword:b", "oauthApps:a", "partnerConsoleUrl:s"});
  CHECK(user["preferredMFA"] == "NONE");
}

TEST_CASE("a size has every field that clients read", "[api]") {
  const json flavor = flavor_json("pico");
  check_fields(flavor, {"name:s", "mem:n", "cpus:n", "gpus:n", "price:n", "available:b",
                        "microservice:b", "machine_learning:b", "nice:n", "memory:o"});
  check_fields(flavor["memory"], {"unit:s", "value:n", "formatted:s"});
  CHECK(flavor["mem"] == 256);
}

TEST_CASE("an instance type has every field that clients read", "[api]") {
  const json type = instance_type_json("node", "Node.js");
  check_fields(type, {"type:s", "version:s", "name:s", "enabled:b", "variant:o", "defaultFlavor:o",
                      "flavors:a", "maxInstances:n"});
  check_fields(type["variant"], {"id:s", "slug:s", "name:s"});
  CHECK(type["variant"]["slug"] == "node");
  CHECK(type["flavors"].size() == 9);
}

TEST_CASE("a deployment has every field that clients read", "[api]") {
  const json d = deployment_json(a_deployment("WIP"));
  check_fields(d, {"id:n", "uuid:s", "date:n", "state:s", "action:s", "commit:s", "cause:s",
                   "instances:n", "author:o"});
  CHECK(d["id"] == 3);
  CHECK(d["date"] == 1767225600123);
  Deployment stop = a_deployment("OK");
  stop.commit.reset();
  check_fields(deployment_json(stop), {"commit:0"});
}

TEST_CASE("a v4 deployment that ended has a step of its state", "[api]") {
  struct Case {
    const char* state;
    const char* shown;
  };
  for (const Case& c : std::vector<Case>{{"OK", "SUCCEEDED"},
                                         {"FAIL", "FAILED"},
                                         {"CANCELLED", "CANCELLED"},
                                         {"WIP", "QUEUED"}}) {
    INFO(c.state);
    const json d = v4_deployment_json(a_deployment(c.state));
    check_fields(d, {"id:s", "state:s", "startDate:s", "version:o", "steps:a"});
    CHECK(d["state"] == c.shown);
    CHECK(d["steps"].back()["state"] == c.shown);
    CHECK(d["version"]["commitId"] == std::string(40, 'a'));
  }
  Deployment building = a_deployment("WIP");
  building.phase = "building";
  CHECK(v4_deployment_json(building)["state"] == "WORK_IN_PROGRESS");
}

TEST_CASE("an instance has every field that clients read", "[api]") {
  Instance i;
  i.id = "5f0f0f0f-0000-4000-8000-000000000000";
  i.app_id = "app_1";
  i.deployment = "deployment_1";
  i.deployment_number = 3;
  i.number = 1;
  i.flavor = "XS";
  i.commit = std::string(40, 'a');
  i.address = "10.1.2.3:8080";
  i.created_ms = 1767225600000;
  struct Case {
    const char* phase;
    bool healthy;
    const char* routed;
    const char* state;
  };
  for (const Case& c : std::vector<Case>{{"placed", false, "no", "BOOTING"},
                                         {"booting", false, "no", "BOOTING"},
                                         {"running", false, "no", "DEPLOYING"},
                                         {"running", true, "yes", "UP"},
                                         {"running", true, "draining", "STOPPING"},
                                         {"stopping", true, "no", "STOPPING"},
                                         {"failed", false, "no", "STOPPING"}}) {
    INFO(c.phase << " " << c.routed);
    i.phase = c.phase;
    i.healthy = c.healthy;
    i.routed = c.routed;
    const json shown = instance_json(i);
    check_fields(shown, {"id:s", "appId:s", "state:s", "flavor:o", "commit:s", "instanceNumber:n",
                         "displayName:s", "ip:s", "appPort:n", "deployId:s", "deployNumber:n",
                         "creationDate:n"});
    CHECK(shown["state"] == c.state);
    CHECK(shown["ip"] == "10.1.2.3");
    check_fields(v4_instance_json(i), {"id:s", "deploymentId:s", "name:s", "index:n", "state:s",
                                       "creationDate:s", "deletionDate:0", "isBuildVm:b"});
  }
  i.ended_ms = 1767225660000;
  CHECK(v4_instance_json(i)["deletionDate"] == "2026-01-01T00:01:00.000Z");
  CHECK(v4_instance_json(i)["state"] == "DELETED");
}

TEST_CASE("times are ISO 8601 both ways", "[api]") {
  CHECK(iso_time(1767225600123) == "2026-01-01T00:00:00.123Z");
  CHECK(iso_time(0) == "1970-01-01T00:00:00.000Z");
  CHECK(parse_iso_time("2026-01-01T00:00:00.123Z") == 1767225600123);
  CHECK(parse_iso_time("2026-01-01T00:00:00.123456789Z") == 1767225600123);
  CHECK(parse_iso_time("2026-01-01T00:00:00Z") == 1767225600000);
  CHECK(parse_iso_time("2026-01-01T00:00:00+00:00") == 1767225600000);
  CHECK(parse_iso_time("2026-01-01T02:30:00+02:30") == 1767225600000);
  CHECK(parse_iso_time("2025-12-31T23:00:00-01:00") == 1767225600000);
  for (const char* bad :
       {"", "yesterday", "2026-01-01", "2026-13-01T00:00:00Z", "2026-01-01T25:00:00Z",
        "2026-01-01T00:00:00 CET", "2026-01-01T00:00:00.5"}) {
    INFO(bad);
    CHECK_FALSE(parse_iso_time(bad));
  }
}

TEST_CASE("an address for visitors names the port only where it is not the usual one", "[api]") {
  Settings settings = the_settings();
  CHECK(visit_url(settings, {"a.localhost", "/", false}) == "http://a.localhost:8081/");
  settings.apps_port = 80;
  CHECK(visit_url(settings, {"a.localhost", "/api/", false}) == "http://a.localhost/api/");
  settings.apps_scheme = "https";
  settings.apps_port = 443;
  CHECK(visit_url(settings, {"a.localhost", "/", false}) == "https://a.localhost/");
}
