// karreg as a process against a real karreg-api.
#include "a_platform.hpp"
#include "support/a_certificate.hpp"
#include "support/programs.hpp"

using namespace karreg;
using namespace karreg::test;

TEST_CASE("one logs in with a token pair and its consumer, or with an API token, and out again") {
  CliPlatform platform;
  const auto field = [&](const char* name) { return platform.user().text(name); };
  const Ended pair =
      platform.good("login --format json --api-host " + platform.url() + "/ --token " +
                    field("token") + " --secret " + field("secret") + " --consumer-key " +
                    field("consumer_key") + " --consumer-secret " + field("consumer_secret"));
  CHECK(pair.json()["email"] == "ann@example.org");
  CHECK(platform.good("logout").err == "Logged out.\n");
  CHECK(platform.karreg("list").code == 3);
  platform.login();
  CHECK(platform.good("list").err == "You have no apps. Create one: karreg create NAME\n");

  const Ended wrong =
      platform.karreg("list", "KARREG_TOKEN=wrong KARREG_API_HOST=" + platform.url());
  CHECK(wrong.code == 3);
  CHECK(wrong.err.starts_with(
      "karreg: You are not logged in, or the token is no longer good: run `karreg login`. ("));
}

TEST_CASE("a login is accepted in the browser, by its session alone, and fetched once") {
  CliPlatform platform;
  platform.make_user("bob@example.org", "a long password");
  platform.begin("login --api-host " + platform.url());
  std::string request;
  eventually("the page of the login is shown", [&] {
    const std::string shown = platform.begun_err();
    const auto at = shown.find("cli_token=");
    if (at == std::string::npos || shown.find('\n', at) == std::string::npos) return false;
    request = shown.substr(at + 10, shown.find('\n', at) - at - 10);
    return true;
  });
  CHECK(platform.browse("none", "GET", "/v2/self/cli_tokens?cli_token=" + request) == 404);
  CHECK(platform.browse("none", "GET", "/v2/self/cli_tokens?cli_token=short") == 400);

  const std::string wish = Json({{"cli_token", request}}).dump();
  CHECK(platform.browse("bob", "POST", "/console/cli_logins", wish) == 401);
  const std::string bearer = "-H 'Authorization: Bearer " + platform.user().text("api_token") + "'";
  CHECK(platform.browse("ann", "POST", "/console/cli_logins", wish, bearer) == 403);
  const std::string password =
      Json({{"email", "bob@example.org"}, {"password", "a long password"}}).dump();
  CHECK(platform.browse("bob", "POST", "/console/session", password) == 200);
  CHECK(platform.browse("bob", "POST", "/console/cli_logins", wish, "") == 403);
  CHECK(platform.browse("bob", "POST", "/console/cli_logins", R"({"cli_token":"short"})") == 400);
  CHECK(platform.browse("bob", "POST", "/console/cli_logins", wish) == 200);

  const Ended login = platform.ended();
  INFO(login.err);
  CHECK(login.code == 0);
  CHECK(has(login.err, "as bob@example.org."));
  CHECK(platform.good("list").err == "You have no apps. Create one: karreg create NAME\n");
  CHECK(platform.browse("none", "GET", "/v2/self/cli_tokens?cli_token=" + request) == 404);
  CHECK(platform.database().value("SELECT count(*) FROM cli_logins") == "0");
}

TEST_CASE("an accepted login is nobody's once its session is over or its time is up") {
  CliPlatform platform;
  platform.make_user("bob@example.org", "a long password");
  const std::string password =
      Json({{"email", "bob@example.org"}, {"password", "a long password"}}).dump();
  const std::string wish = R"({"cli_token":"0123456789-0123456789"})";
  const std::string fetch = "/v2/self/cli_tokens?cli_token=0123456789-0123456789";
  CHECK(platform.browse("bob", "POST", "/console/session", password) == 200);
  CHECK(platform.browse("bob", "POST", "/console/cli_logins", wish) == 200);
  CHECK(platform.browse("bob", "POST", "/console/cli_logins", wish) == 409);
  CHECK(platform.browse("bob", "DELETE", "/console/session") == 200);
  CHECK(platform.browse("none", "GET", fetch) == 404);

  CHECK(platform.browse("bob", "POST", "/console/session", password) == 200);
  CHECK(platform.browse("bob", "POST", "/console/cli_logins", wish) == 200);
  platform.database().query("UPDATE cli_logins SET expires_at = now() - interval '1 second'");
  CHECK(platform.browse("none", "GET", fetch) == 404);
  CHECK(platform.browse("bob", "POST", "/console/cli_logins", wish) == 200);
  CHECK(platform.browse("none", "GET", fetch) == 200);
  const Json pair = platform.answer();
  CHECK(pair["token"].is_string());
  CHECK(pair["secret"].is_string());
  CHECK(pair["expirationDate"].get<std::string>().ends_with("Z"));
  CHECK(platform.browse("none", "GET", fetch) == 404);
}

TEST_CASE("the doctor shows each host's accelerator with its figures, and hosts that are silent") {
  CliPlatform platform;
  platform.login();
  const Ended none = platform.karreg("doctor");
  CHECK(none.code == 9);
  CHECK(has(none.out, "BAD   hosts: none has reported yet, so nothing can be deployed."));

  platform.database().query(
      "INSERT INTO hosts (id, memory_mb, vcpus, accelerator, accelerator_detail, last_seen) VALUES "
      "('host-a', 4096, 2, 'tcg', 'tcg boots in 1300 ms; kvm did not boot in time', now())");
  const Ended good = platform.good("doctor");
  CHECK_FALSE(has(good.out, "BAD"));
  CHECK(has(good.out,
            "good  host host-a: accelerator tcg (tcg boots in 1300 ms; kvm did not boot in time), "
            "4096 MB, 2 processors\n"));
  CHECK(platform.good("doctor --format json").json().back()["check"] == "host host-a");

  platform.database().query("UPDATE hosts SET last_seen = now() - interval '2 minutes'");
  const Ended silent = platform.karreg("doctor");
  CHECK(silent.code == 9);
  CHECK(has(silent.out, "BAD   host host-a: not heard of for 12"));

  // What cannot be found out is a finding too.
  platform.database().query("ALTER TABLE hosts RENAME TO hidden");
  const Ended untold = platform.karreg("doctor");
  CHECK(untold.code != 0);
  CHECK(has(untold.out, "BAD   hosts: "));
}

TEST_CASE("an app is made, linked, configured, scaled and deleted") {
  CliPlatform platform;
  platform.login();
  const Ended unknown_type = platform.karreg("create --type nod shop");
  CHECK(unknown_type.code == 2);
  CHECK(has(unknown_type.err, "The platform has no type `nod`."));
  CHECK(has(unknown_type.err, "Did you mean `node`?"));

  const Json app = platform.good("create --type static shop --format json").json();
  CHECK(app["type"] == "static");
  CHECK(platform.karreg("create shop").code == 6);
  CHECK(platform.good("list --format json").json().at(0)["id"] == app["id"]);
  CHECK(has(platform.good("list").out, "http://shop.localhost:8080/"));

  platform.good("env set A=1 B='two words'");
  platform.good("env set C 3");
  platform.good("env rm A");
  CHECK(platform.good("env list").out == "B=\"two words\"\nC=\"3\"\n");
  write_file(platform.work() / ".env", "D=4\n");
  platform.good("env import .env --merge");
  CHECK(platform.good("env list --format json").json() ==
        Json({{"B", "two words"}, {"C", "3"}, {"D", "4"}}));
  platform.good("env import .env");
  CHECK(platform.good("env list --format json").json() == Json({{"D", "4"}}));
  CHECK(platform.karreg("env import missing.env").code == 2);

  platform.good("domain add www.example.org");
  platform.good("domain favourite www.example.org");
  CHECK(has(platform.good("domain list").out, "www.example.org  (favourite)"));
  CHECK(platform.good("open --format json").json()["url"] == "http://www.example.org:8080/");
  const Ended unknown_domain = platform.karreg("domain rm ww.example.org");
  CHECK(unknown_domain.code == 5);
  CHECK(has(unknown_domain.err, "Did you mean `www.example.org`?"));
  const ACertificate own({"www.example.org"});
  write_file(platform.work() / "chain.pem", own.chain);
  write_file(platform.work() / "key.pem", own.key);
  const Ended swapped = platform.karreg("certificate upload key.pem chain.pem");
  CHECK(swapped.code == 2);
  CHECK(has(swapped.err, "there is no certificate in it"));
  const std::string certificate =
      platform.good("certificate upload chain.pem key.pem --format json").json()["id"];
  const std::string certificates = platform.good("certificate list").out;
  CHECK(has(certificates, "www.example.org  issued"));
  CHECK(has(certificates, certificate));
  platform.good("certificate rm " + certificate);
  CHECK(platform.karreg("certificate rm " + certificate).code == 5);
  platform.good("domain rm www.example.org");

  CHECK(platform.good("scale --instances 2 --flavor pico --format json").json()["max_instances"] ==
        2);
  CHECK(has(platform.good("status").out, "2 x pico"));
  CHECK(has(platform.good("scale --build-flavor S").err, "builds on S."));
  CHECK(has(platform.good("scale --build-flavor disabled").err,
            "builds on the size of the instances."));

  platform.good("unlink");
  CHECK(platform.karreg("status").code == 5);
  const Ended misspelt = platform.karreg("status --app shpo");
  CHECK(has(misspelt.err, "Did you mean `shop`?"));
  platform.good("link shop --alias live");
  platform.good("link " + app["id"].get<std::string>() + " --alias also");
  CHECK(platform.karreg("status").code == 2);
  CHECK(has(platform.good("status --alias live").out, "shop  stopped"));
  platform.good("unlink also");

  CHECK(platform.karreg("delete").code == 2);
  platform.good("delete --yes");
  CHECK_FALSE(std::filesystem::exists(platform.work() / ".karreg.json"));
  CHECK(platform.good("list --format json").json().empty());
}

TEST_CASE("a deployment is pushed and watched; failures, repetitions and refusals are told") {
  CliPlatform platform;
  platform.login();
  platform.good("create --type static shop");
  CHECK(platform.good("logs").err ==
        "No lines in the last 15 minutes; `--since 7d` looks further back, as far as logs are "
        "kept.\n");
  CHECK(platform.good("logs --since 7d").err.empty());
  const Ended no_repository = platform.karreg("deploy");
  CHECK(no_repository.code == 5);
  CHECK(has(no_repository.err, "This folder is no git repository."));

  platform.commit("one");
  const Ended first = platform.good("deploy");
  CHECK(has(first.err, "the played build says hello"));
  CHECK(has(first.err, "Deployed: shop at http://shop.localhost:8080/."));
  CHECK(has(platform.good("activity").out, "succeeded"));
  CHECK(platform.karreg("deploy").code == 6);  // everything is up to date

  platform.scheduler().verdict("FAIL");
  platform.commit("two");
  const Ended failed = platform.karreg("deploy");
  CHECK(failed.code == 1);
  CHECK(has(failed.err, "karreg: Deployment 2 of shop failed: the played build failed.\n"));

  platform.scheduler().verdict("OK");
  const Json again = platform.good("deploy --format json").json();
  CHECK(again["state"] == "OK");
  CHECK(again["number"] == 3);

  must_run("cd " + platform.work().string() + " && git reset -q --hard HEAD~1");
  platform.commit("three");
  const Ended behind = platform.karreg("deploy");
  CHECK(behind.code == 6);
  CHECK(has(behind.err, "or replace them with --force."));
  platform.good("deploy --force");

  // The files of an archive, on top of what the platform has.
  write_file(platform.scratch() / "site/index.html", "from an archive");
  const std::string archive = (platform.scratch() / "site.tar.gz").string();
  must_run("tar -czf " + archive + " -C " + platform.scratch().path().string() + " site");
  const Json archived = platform.good("deploy --archive " + archive + " --format json").json();
  CHECK(archived["state"] == "OK");
  CHECK(platform.karreg("deploy --archive " + archive).code == 6);  // the platform has these files
  CHECK(platform.karreg("deploy --archive " + archive + " --force").code == 2);
  CHECK(platform.karreg("deploy --archive " + archive + ".none").code == 5);

  const Ended restarted = platform.good("restart");
  CHECK(has(restarted.out, "the played build says hello"));
  CHECK(has(restarted.err, "Deployed: shop at "));
  CHECK(platform.good("restart --commit HEAD --without-cache --format json").json()["state"] ==
        "OK");
  CHECK(platform.karreg("restart --commit nonsense").code == 2);

  const Json lines = Json::parse("[" + [&] {
    std::string all = platform.good("logs --since 1h --format json").out;
    all.pop_back();
    for (auto at = all.find('\n'); at != std::string::npos; at = all.find('\n', at + 2))
      all.replace(at, 1, ",\n");
    return all;
  }() + "]");
  CHECK(lines.size() == 7);
  CHECK(lines.at(0)["message"] == "the played build says hello");
  CHECK(platform.good("logs --since 1h --search nothing-like-it").out.empty());
  platform.good("stop");
  eventually("the app is stopped",
             [&] { return platform.good("status --format json").json()["status"] == "stopped"; });
}

TEST_CASE("a deployment is left going on, joined and cancelled") {
  CliPlatform platform;
  platform.login();
  platform.good("create --type static shop");
  CHECK(platform.karreg("cancel-deploy").code == 6);
  platform.scheduler().verdict("WIP");
  platform.commit("one");
  const Ended detached = platform.good("deploy --detach");
  CHECK(has(detached.err, "Deployment 1 goes on."));
  CHECK(platform.good("status --format json").json()["status"] == "deploying");

  platform.good("cancel-deploy");
  CHECK(platform.database().value("SELECT cancel_requested FROM deployments") == "t");
  platform.scheduler().verdict("CANCELLED");
  eventually("it is cancelled", [&] {
    return platform.good("activity --format json").json().at(0)["state"] == "CANCELLED";
  });
}

TEST_CASE("a deployment is followed to its end although the API dies and starts again meanwhile") {
  CliPlatform platform;
  platform.login();
  platform.good("create --type static shop");
  platform.scheduler().verdict("WIP");
  platform.commit("one");
  platform.begin("deploy");
  eventually("the deployment is recorded",
             [&] { return platform.database().value("SELECT state FROM deployments") == "WIP"; });
  platform.restart_api([&] {
    eventually("git sees its connection break",
               [&] { return has(read_file(platform.scratch() / "begun.err"), "fatal: "); });
  });
  platform.scheduler().verdict("OK");
  const Ended deployed = platform.ended();
  INFO(deployed.out << deployed.err);
  CHECK(deployed.code == 0);
  CHECK(has(deployed.err, "The push broke off, but the platform had recorded it as deployment 1."));
  CHECK(has(deployed.err, "Deployed: shop at "));
}

TEST_CASE("an app that was created but could not be linked is named with the way on") {
  CliPlatform platform;
  platform.login();
  std::filesystem::create_directory(platform.work() / ".karreg.json");
  const Ended created = platform.karreg("create --type static shop");
  CHECK(created.code == 2);
  const std::string id = platform.database().value("SELECT id FROM apps");
  CHECK(has(created.err, "karreg: shop was created (" + id + ") but not linked: "));
  CHECK(has(created.err, "Then run `karreg link " + id + "`."));
  std::filesystem::remove(platform.work() / ".karreg.json");
  platform.good("link " + id);
}

TEST_CASE("Ctrl-C leaves a deployment going on and says so") {
  CliPlatform platform;
  platform.login();
  platform.good("create --type static shop");
  platform.scheduler().verdict("WIP");
  platform.commit("one");
  const std::string err = (platform.scratch() / "interrupted").string();
  // A process group of its own gets the signal, as a terminal would send it.
  const Ran ran =
      run("cd " + platform.work().string() + " && HOME=" + platform.scratch().path().string() +
          " setsid timeout --signal=INT 5 " + program("karreg") + " deploy 2>" + err);
  INFO(read_file(err));
  CHECK(has(read_file(err), "Detached: the deployment goes on."));
  CHECK(platform.database().value("SELECT state FROM deployments") == "WIP");
}

TEST_CASE("the token reaches git over no command line and no file") {
  CliPlatform platform;
  platform.login();
  platform.good("create --type static shop");
  platform.commit("one");
  const std::string token = platform.user().text("api_token");
  // git shows every command that it runs, and this credential store would keep what it is given.
  const Ended deployed =
      platform.karreg("deploy",
                      "GIT_TRACE=1 GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=credential.helper "
                      "GIT_CONFIG_VALUE_0=store");
  INFO(deployed.err);
  CHECK(deployed.code == 0);
  CHECK_FALSE(has(deployed.err, token));
  CHECK_FALSE(std::filesystem::exists(platform.scratch() / ".git-credentials"));
  CHECK_FALSE(has(must_run("cat " + (platform.work() / ".git/config").string()), token));
}

TEST_CASE("the rules of an app are set from a file, changed field by field, and taken away") {
  CliPlatform platform;
  platform.login();
  platform.good("create shop");
  CHECK(platform.good("rules show").err == "shop has no rules.\n");
  write_file(platform.work() / "rules.toml",
             "max_body_bytes = 10\n[[redirects]]\npath = \"/a\"\nto = \"/b\"\n");
  CHECK(has(platform.good("rules set rules.toml").err, "no restart is needed"));
  const auto shown = [&] { return platform.good("rules show --format json").json(); };
  CHECK(shown() ==
        Json::parse(R"({"max_body_bytes":10,"redirects":[{"path":"/a","to":"/b","status":302}]})"));
  CHECK(Json::parse(platform.good("rules show").out) == shown());

  platform.good("rules edit maintenance.on=true max_body_bytes= 'maintenance.html=<h1>soon</h1>'");
  CHECK(shown()["maintenance"]["on"] == true);
  CHECK(shown()["maintenance"]["html"] == "<h1>soon</h1>");
  CHECK_FALSE(shown().contains("max_body_bytes"));
  const Json before = shown();
  const Ended wrong = platform.karreg("rules edit redirects=5");
  CHECK(wrong.code == 2);
  CHECK(wrong.err == "karreg: rules: redirects is 5, but must be a list\n");
  CHECK(shown() == before);

  write_file(platform.work() / "password", "correct horse\n");
  platform.good("rules password ann < password");
  CHECK(shown()["basic_auth"]["users"]["ann"].get<std::string>().starts_with("$2b$10$"));
  CHECK(platform.good("rules password < password").out.starts_with("$2b$10$"));

  write_file(platform.work() / "wrong.json", R"({"rate":{"client":{"requests":0}}})");
  const Ended checked = platform.karreg("rules check wrong.json");
  CHECK(checked.code == 2);
  CHECK(has(checked.err, "rate.client.requests is 0, but must be a whole number from 1 to 100000"));
  platform.good("rules check rules.toml");

  platform.good("rules clear");
  CHECK(shown() == Json::object());
}
