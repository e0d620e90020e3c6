#include "cli/model.hpp"

#include <catch2/catch.hpp>

#include "cli/browser.hpp"
#include "cli/session.hpp"

using namespace karreg;
using namespace karreg::cli;

TEST_CASE("an app is read from the API's answer") {
  const auto app = parse_app(Json::parse(R"({
    "id":"app_1","ownerId":"orga_1","name":"shop","state":"SHOULD_BE_UP","commitId":null,
    "branch":"main","creationDate":7,
    "instance":{"type":"node","variant":{"id":"v","slug":"node"},"minInstances":1,"maxInstances":2,
                "minFlavor":{"name":"pico"},"maxFlavor":{"name":"XS"},"later":[]},
    "deployment":{"httpUrl":"https://git/app_1.git"},"buildFlavor":{"name":"S"},"separateBuild":true,
    "vhosts":[{"fqdn":"shop.example.org/"}]})"));
  REQUIRE(app);
  CHECK(app->type == "node");
  CHECK(app->commit.empty());
  CHECK(app->domains == std::vector<std::string>{"shop.example.org/"});
  CHECK(app->max_instances == 2);
  CHECK(app->max_flavor == "XS");
  CHECK(app->separate_build);
  CHECK(app->build_flavor == "S");
  CHECK(app->git_url == "https://git/app_1.git");
}

TEST_CASE("an answer of another shape is an error, not a crash") {
  for (const char* text :
       {"null", "[]", "{}", R"({"id":1,"name":"x"})", R"({"id":"a","name":"x","instance":3})",
        R"({"id":"a","name":"x","vhosts":[1]})"}) {
    INFO(text);
    const auto app = parse_app(Json::parse(text));
    REQUIRE_FALSE(app);
    CHECK(app.error().kind() == ErrorKind::unavailable);
    CHECK(app.error().message().starts_with(
        "The platform's answer is not an app that this version of karreg understands: "));
  }
  CHECK_FALSE(parse_deployments(Json::object()));
  CHECK_FALSE(parse_summary(Json::parse(R"({"organisations":[{}]})")));
}

TEST_CASE("hosts are read with their accelerator and its figures") {
  const auto hosts = parse_hosts(Json::parse(
      R"([{"id":"h","accelerator":"tcg","accelerator_detail":"tcg boots in 9 ms","memory_mb":4096,
          "vcpus":2,"last_seen_ms":7,"silent_ms":1500}])"));
  REQUIRE(hosts);
  CHECK(hosts->front().accelerator_detail == "tcg boots in 9 ms");
  CHECK(hosts->front().silent_ms == 1500);
  CHECK_FALSE(parse_hosts(Json::parse(R"([{"id":1}])")));
}

TEST_CASE("an author is a name or an object") {
  CHECK(parse_deployment(Json::parse(R"({"uuid":"d","author":"ann"})"))->author == "ann");
  CHECK(parse_deployment(Json::parse(R"({"uuid":"d","author":{"name":"ann"}})"))->author == "ann");
}

TEST_CASE("how an app is doing follows from state, last deployment and instances") {
  struct Case {
    std::string state, last;
    std::vector<Instance> instances;
    std::string status;
    std::string sleep = "awake";
  };
  const Instance up{"i", "UP", "pico", "", 0};
  const auto c = GENERATE_COPY(values<Case>({
      {"SHOULD_BE_DOWN", "", {}, "stopped"},
      {"SHOULD_BE_DOWN", "OK", {up}, "stopping"},
      {"SHOULD_BE_DOWN", "WIP", {}, "deploying"},
      {"WANTS_TO_BE_UP", "WIP", {}, "deploying"},
      {"SHOULD_BE_UP", "WIP", {up}, "running, a deployment is in progress"},
      {"SHOULD_BE_UP", "OK", {up}, "running"},
      {"WANTS_TO_BE_UP", "FAIL", {}, "not running, the last deployment failed"},
      {"WANTS_TO_BE_UP", "", {}, "starting"},
      {"SHOULD_BE_UP", "OK", {}, "not running"},
      {"SHOULD_BE_UP", "OK", {}, "asleep, the next request wakes it", "asleep"},
      {"SHOULD_BE_UP", "OK", {up}, "asleep, the next request wakes it", "asleep"},
      {"SHOULD_BE_UP", "WIP", {}, "deploying", "asleep"},
      {"SHOULD_BE_UP", "OK", {}, "waking up", "waking"},
      {"SHOULD_BE_UP", "OK", {up}, "running", "waking"},
  }));
  App app;
  app.state = c.state;
  app.sleep = c.sleep;
  std::vector<Deployment> deployments;
  if (!c.last.empty()) {
    deployments.emplace_back();
    deployments.back().state = c.last;
  }
  CHECK(app_status(app, deployments, c.instances) == c.status);
}

TEST_CASE("an app is found by id, and by a name that only it has") {
  const Summary summary{
      {}, {{"app_1", "shop", "orga_1"}, {"app_2", "twin", "orga_1"}, {"app_3", "twin", "orga_2"}}};
  CHECK(find_app(summary, "app_3")->owner == "orga_2");
  CHECK(find_app(summary, "shop")->path() == "/v2/organisations/orga_1/applications/app_1");
  CHECK(find_app(summary, "shpo").error().message() ==
        "There is no app `shpo` that you can see. Did you mean `shop`? `karreg list` shows all.");
  CHECK(find_app(summary, "twin").error().message() ==
        "Several apps are called `twin`. Give the id instead: app_2, app_3.");
}

TEST_CASE("errors of the server keep its words") {
  CHECK(server_message(400, "application/json", R"({"message":"bad name","error":"x"})") ==
        "bad name");
  CHECK(server_message(400, "application/json; charset=utf-8", R"({"error":"x"})") == "x");
  CHECK(server_message(400, "application/json", R"("plain")") == "plain");
  CHECK(server_message(500, "text/plain", "oops") == "oops");
  CHECK(server_message(502, "text/html", "<html>") == "the platform answered 502 Bad Gateway");
  CHECK(kind_of_status(404) == ErrorKind::not_found);
  CHECK(kind_of_status(422) == ErrorKind::invalid);
  CHECK(kind_of_status(503) == ErrorKind::unavailable);
}

TEST_CASE("an app is opened where the platform says, else at its domain") {
  App app;
  CHECK(url_of(app, "").empty());
  app.domains = {"a.localhost/", "b.example.org/x"};
  CHECK(url_of(app, "") == "http://a.localhost/");
  CHECK(url_of(app, "b.example.org/x") == "https://b.example.org/x");
  app.urls = {"http://a.localhost:8080/", "http://b.example.org:8080/x"};
  CHECK(url_of(app, "b.example.org/x") == "http://b.example.org:8080/x");
  CHECK(address(app) == "http://a.localhost:8080/");
}
