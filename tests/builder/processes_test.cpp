// Workers, the release command and cron: who declares them, who wins, and what is refused.
#include "builder/processes.hpp"

#include "a_tree.hpp"
#include "builder/plan_text.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {

const std::string node_app = R"({"scripts":{"start":"node a.js"}})";

/// A Node.js app with more @p files.
Files app_with(Files files) {
  files.emplace("package.json", node_app);
  return files;
}

/// "mail=node mail.js|...": the workers of a plan.
std::string workers_of(const wire::BuildPlan& plan) {
  std::string text;
  for (const auto& worker : plan.workers)
    text += (text.empty() ? "" : "|") + worker.name + "=" + worker.command;
  return text;
}

std::string cron_of(const wire::BuildPlan& plan) {
  std::string text;
  for (const auto& each : plan.cron)
    text += (text.empty() ? "" : "|") + each.schedule + "=" + each.command;
  return text;
}

std::string refused(const Files& files, const Env& env = {}) {
  return refusal_of(app_with(files), env);
}

std::string toml_refused(const std::string& text) {
  return refused({{"karreg.toml", text}});
}

std::string cron_json_refused(const std::string& text) {
  return refused({{"clevercloud/cron.json", text}});
}

}  // namespace

TEST_CASE("an app without workers, release and cron has none") {
  const auto plan = plan_of(app_with({}));
  CHECK(plan.workers.empty());
  CHECK(plan.release.empty());
  CHECK(plan.cron.empty());
  CHECK(rendered(plan).find("orker") == std::string::npos);
}

TEST_CASE("processes of a Procfile that begin with worker run beside the app") {
  const auto plan = plan_of(app_with(
      {{"Procfile", "web: node a.js\nworker: node w.js\nworker_mail: node m.js\nworker-2: n\n"}}));
  CHECK(workers_of(plan) == "worker=node w.js|worker-2=n|worker_mail=node m.js");
  CHECK(plan.workers.front().restart == "on-failure");
  CHECK(plan.workers.front().restart_delay_ms == 1000);
  CHECK(gives_reason(plan, "Worker worker_mail: node m.js (worker_mail: of Procfile)."));
  CHECK(gives_reason(plan, "A worker that failed is started again after 1 s."));
}

TEST_CASE("other processes of a Procfile are told, with the way to start them") {
  const std::string note =
      "Procfile: the process `clock` is not started. `web`, `release` and names that begin with "
      "`worker` are: call it `worker_clock`, or give its command in [workers] of karreg.toml.";
  Files files = app_with({{"Procfile", "clock: node c.js\n"}});
  CHECK(gives_reason(plan_of(files), note));
  files["karreg.toml"] = "[workers]\nclock = \"node c.js\"\n";
  const auto plan = plan_of(files);
  CHECK(workers_of(plan) == "clock=node c.js");
  CHECK_FALSE(gives_reason(plan, note));
}

TEST_CASE(
    "workers: the environment wins over karreg.toml, which wins over the Procfile, as a whole") {
  Files files = app_with({{"Procfile", "worker: p\nworker_2: q\n"}});
  CHECK(workers_of(plan_of(files)) == "worker=p|worker_2=q");
  files["karreg.toml"] = "[workers]\nmail = \"t\"\n";
  auto plan = plan_of(files);
  CHECK(workers_of(plan) == "mail=t");
  CHECK(gives_reason(plan, "Worker mail: t (workers.mail of karreg.toml)."));
  CHECK(gives_reason(plan,
                     "Not started: worker and worker_2 of Procfile. The workers of karreg.toml "
                     "take the place of all of them."));
  plan = plan_of(files, {{"CC_WORKER_COMMAND", "e"}});
  CHECK(workers_of(plan) == "worker=e");
  CHECK(gives_reason(plan, "Worker worker: e (CC_WORKER_COMMAND)."));
  CHECK(gives_reason(plan,
                     "Not started: mail of karreg.toml. The workers of the environment take the "
                     "place of all of them."));
  // Blank is unset, as everywhere.
  CHECK(workers_of(plan_of(files, {{"CC_WORKER_COMMAND", " "}})) == "mail=t");
}

TEST_CASE("workers: blanks around a command are no part of it") {
  const auto plan = plan_of(app_with({{"karreg.toml", "[workers]\nmail = \"  node m.js\\n\"\n"}}));
  CHECK(workers_of(plan) == "mail=node m.js");
  CHECK(gives_reason(plan, "Worker mail: node m.js (workers.mail of karreg.toml)."));
}

TEST_CASE("workers: an empty section of karreg.toml takes the place of the Procfile's") {
  CHECK(plan_of(app_with({{"Procfile", "worker: p\n"}, {"karreg.toml", "[workers]\n"}}))
            .workers.empty());
}

TEST_CASE("workers: karreg.toml of the app's folder wins over that of the root") {
  const Files files = {{"app/package.json", node_app},
                       {"karreg.toml", "[workers]\nroot = \"r\"\nother = \"o\"\n"},
                       {"app/karreg.toml", "[workers]\nfolder = \"f\"\n"}};
  CHECK(workers_of(plan_of(files, {{"APP_FOLDER", "app"}})) == "folder=f");
}

TEST_CASE("workers of the environment are numbered and come in order") {
  CHECK(workers_of(plan_of(app_with({}), {{"CC_WORKER_COMMAND_10", "c"},
                                          {"CC_WORKER_COMMAND_2", "b"},
                                          {"CC_WORKER_COMMAND", "a"},
                                          {"CC_WORKER_COMMAND_99", "d"}})) ==
        "worker=a|worker-2=b|worker-10=c|worker-99=d");
  // As a line of [env], they are karreg.toml's; its own section says it more clearly.
  const std::string env = "[env]\nCC_WORKER_COMMAND_0 = \"x\"\n";
  const auto plan = plan_of(app_with({{"karreg.toml", env}}));
  CHECK(workers_of(plan) == "worker-0=x");
  CHECK(gives_reason(plan, "Worker worker-0: x (CC_WORKER_COMMAND_0 in [env] of karreg.toml)."));
  CHECK(workers_of(plan_of(app_with({{"karreg.toml", env + "[workers]\nmail = \"m\"\n"}}))) ==
        "mail=m");
}

TEST_CASE("a worker of a number that does not exist is refused") {
  for (const char* name : {"CC_WORKER_COMMAND_100", "CC_WORKER_COMMAND_01", "CC_WORKER_COMMAND_",
                           "CC_WORKER_COMMANDS", "CC_WORKER_COMMAND_-1"}) {
    INFO(name);
    CHECK(refused({}, {{name, "x"}}) ==
          std::string(name) +
              " is no worker: they are CC_WORKER_COMMAND and CC_WORKER_COMMAND_0 to _99.");
  }
}

TEST_CASE("how workers are started again is said for all of them") {
  const Files files = app_with({{"karreg.toml",
                                 "[workers]\na = \"x\"\nb = \"y\"\n[worker]\nrestart = \"always\"\n"
                                 "restart-delay = 5\n"}});
  auto plan = plan_of(files);
  for (const auto& worker : plan.workers) {
    CHECK(worker.restart == "always");
    CHECK(worker.restart_delay_ms == 5000);
  }
  CHECK(gives_reason(plan,
                     "A worker that ended is started again after 5 s (worker.restart of "
                     "karreg.toml, worker.restart-delay of karreg.toml)."));
  plan = plan_of(files, {{"CC_WORKER_RESTART", "no"}});
  CHECK(plan.workers.front().restart == "no");
  CHECK(gives_reason(plan,
                     "A worker that ended is not started again (CC_WORKER_RESTART, "
                     "worker.restart-delay of karreg.toml)."));
  CHECK(plan_of(files, {{"CC_WORKER_RESTART_DELAY", "0"}}).workers.front().restart_delay_ms == 0);
  CHECK(plan_of(files, {{"CC_WORKER_RESTART_DELAY", "3600"}}).workers.front().restart_delay_ms ==
        3'600'000);
}

TEST_CASE("workers that are wrong are refused with their place") {
  CHECK(refused({}, {{"CC_WORKER_RESTART", "sometimes"}}) ==
        "CC_WORKER_RESTART=sometimes: a worker that ended is started again `always`, `on-failure` "
        "or `no` (not at all).");
  for (const char* delay : {"3601", "-1", "1.5", "1s", "99999999999"})
    CHECK(refused({}, {{"CC_WORKER_RESTART_DELAY", delay}}) ==
          "CC_WORKER_RESTART_DELAY=" + std::string(delay) +
              ": the delay before a worker is started again is a whole number of seconds, 0 to "
              "3600.");
  CHECK(refused({{"Procfile", "web: x\n\nworker.mail: y\n"}}) ==
        "Procfile, line 3: `worker.mail` is no name of a worker: letters, digits, - and _ make "
        "one, at most 32.");
  CHECK(toml_refused("[workers]\n\n\"a b\" = \"x\"\n") ==
        "karreg.toml, line 3, column 1: `a b` is no name of a worker: letters, digits, - and _ "
        "make one, at most 32.");
  CHECK(workers_of(plan_of(app_with({{"Procfile", "worker" + std::string(26, 'x') + ": y\n"}}))) ==
        "worker" + std::string(26, 'x') + "=y");
  CHECK(refused({{"Procfile", "worker" + std::string(27, 'x') + ": y\n"}})
            .starts_with("Procfile, line 1: `workerxxx"));
  CHECK(toml_refused("[workers]\nmail = \" \"\n") ==
        "karreg.toml, line 2, column 1: the worker mail has no command.");
  CHECK(toml_refused("[workers]\nmail = 3\n") ==
        "karreg.toml, line 2, column 8: `workers.mail` must be the command of the worker, in "
        "quotes.");
  CHECK(toml_refused("workers = \"x\"\n") ==
        "karreg.toml, line 1, column 11: `workers` is a section: write [workers] and its keys "
        "below it.");
  CHECK(refused({}, {{"CC_WORKER_COMMAND_3", std::string(8193, 'x')}}) ==
        "CC_WORKER_COMMAND_3: the command of the worker worker-3 has 8193 bytes, and may have "
        "8192. Put it into a script of the repository.");
  CHECK(plan_of(app_with({}), {{"CC_WORKER_COMMAND_3", std::string(8192, 'x')}}).workers.size() ==
        1);
}

TEST_CASE("twenty workers are taken, and not one more") {
  std::string text = "[workers]\n";
  for (char c = 'a'; c < 'a' + 20; ++c) text += std::string(1, c) + " = \"x\"\n";
  CHECK(plan_of(app_with({{"karreg.toml", text}})).workers.size() == 20);
  CHECK(toml_refused(text + "u = \"x\"\n") ==
        "karreg.toml, line 22, column 1: `u` is one worker too many: an app may have 20.");
}

TEST_CASE(
    "the release command: the environment wins over karreg.toml, which wins over the Procfile") {
  Files files = app_with({{"Procfile", "release: p\n"}});
  auto plan = plan_of(files);
  CHECK(plan.release == "p");
  CHECK(gives_reason(plan,
                     "Once a deployment, before its instances start: p (release: of Procfile)."));
  files["karreg.toml"] = "[release]\ncommand = \"t\"\n";
  CHECK(plan_of(files).release == "t");
  plan = plan_of(files, {{"CC_RELEASE_COMMAND", "e"}});
  CHECK(plan.release == "e");
  CHECK(
      gives_reason(plan, "Once a deployment, before its instances start: e (CC_RELEASE_COMMAND)."));
  CHECK(refused({}, {{"CC_RELEASE_COMMAND", std::string(8193, 'x')}})
            .starts_with("CC_RELEASE_COMMAND: the command of the release has 8193 bytes"));
}

TEST_CASE("cron of karreg.toml: times and commands, and what each may take") {
  const auto plan = plan_of(app_with({{"karreg.toml",
                                       "[[cron]]\nschedule = \"*/5 * * * *\"\ncommand = \"a\"\n\n"
                                       "[[cron]]\nschedule = \"@daily\"\ncommand = \"b\"\n"
                                       "time-limit = \"10m\"\ncatch-up = true\n"}}));
  REQUIRE(plan.cron.size() == 2);
  CHECK(plan.cron[0] == wire::CronEntry{"*/5 * * * *", "a", 3'600'000, false});
  CHECK(plan.cron[1] == wire::CronEntry{"@daily", "b", 600'000, true});
  CHECK(gives_reason(plan, "Cron: a at */5 * * * * UTC (cron of karreg.toml, line 1)."));
  CHECK(gives_reason(plan, "Cron: b at @daily UTC (cron of karreg.toml, line 5)."));
}

TEST_CASE("clevercloud/cron.json: five fields and a command, with $ROOT for the app's folder") {
  const auto plan = plan_of(
      app_with({{"clevercloud/cron.json",
                 R"(["*/5 *  * * *   $ROOT/a.sh $ROOTS ${ROOT}/b $HOME $", "@hourly x  y"])"}}));
  CHECK(cron_of(plan) == "*/5 * * * *=/app/a.sh $ROOTS /app/b $HOME $|@hourly=x  y");
  CHECK(gives_reason(plan, "Cron: x  y at @hourly UTC (entry 2 of clevercloud/cron.json)."));
}

TEST_CASE("cron: clevercloud/cron.json wins over karreg.toml as a whole") {
  const std::string toml = "[[cron]]\nschedule = \"@daily\"\ncommand = \"t\"\n";
  auto plan =
      plan_of(app_with({{"karreg.toml", toml}, {"clevercloud/cron.json", R"(["0 1 * * * c"])"}}));
  CHECK(cron_of(plan) == "0 1 * * *=c");
  CHECK(gives_reason(
      plan, "Not run: the cron of karreg.toml. That of clevercloud/cron.json takes its place."));
  CHECK(plan_of(app_with({{"karreg.toml", toml}, {"clevercloud/cron.json", "[]"}})).cron.empty());

  const Files folder = {{"app/package.json", node_app},
                        {"app/karreg.toml", toml},
                        {"clevercloud/cron.json", R"(["0 1 * * * root"])"}};
  CHECK(cron_of(plan_of(folder, {{"APP_FOLDER", "app"}})) == "0 1 * * *=root");
}

TEST_CASE("cron of karreg.toml: what is wrong is said with its place") {
  const std::string good = "[[cron]]\nschedule = \"@daily\"\ncommand = \"x\"\n";
  CHECK(toml_refused("[[cron]]\nschedule = \"61 * * * *\"\ncommand = \"x\"\n") ==
        "karreg.toml, line 2, column 12: the schedule cannot be read: the minute `61` must be a "
        "number from 0 to 59.");
  CHECK(
      toml_refused("[[cron]]\nschedule = \"@reboot\"\ncommand = \"x\"\n")
          .starts_with("karreg.toml, line 2, column 12: the schedule cannot be read: `@reboot` is "
                       "no time: known are @hourly, "));
  CHECK(toml_refused("[[cron]]\ncommand = \"x\"\n") ==
        "karreg.toml, line 1, column 1: this entry of cron has no `schedule`.");
  CHECK(toml_refused("[[cron]]\nschedule = \"@daily\"\n") ==
        "karreg.toml, line 1, column 1: this entry of cron has no `command`.");
  CHECK(toml_refused("[[cron]]\nschedule = \"@daily\"\ncommand = \"\"\n") ==
        "karreg.toml, line 2, column 12: this entry of cron has no command.");
  CHECK(toml_refused("[[cron]]\nschedule = 5\n") ==
        "karreg.toml, line 2, column 12: `schedule` of [[cron]] must be text, in quotes.");
  CHECK(toml_refused("[[cron]]\nscedule = \"@daily\"\n") ==
        "karreg.toml, line 2, column 1: `scedule` is not known in [[cron]]. Did you mean "
        "`schedule`? Known: catch-up, command, schedule, time-limit.");
  for (const char* limit : {"\"0s\"", "\"25h\"", "\"soon\"", "600"})
    CHECK(toml_refused(good + "time-limit = " + limit + "\n") ==
          "karreg.toml, line 4, column 14: `time-limit` of [[cron]] must be a length of time from "
          "1s to 24h, in quotes, for example \"10m\".");
  CHECK(toml_refused(good + "catch-up = \"yes\"\n") ==
        "karreg.toml, line 4, column 12: `catch-up` of [[cron]] must be true or false.");
  CHECK(toml_refused("[cron]\nschedule = \"@daily\"\n") ==
        "karreg.toml, line 1, column 1: `cron` is a list: write [[cron]] before each entry, and "
        "its keys below it.");
  CHECK(toml_refused("cron = [\"@daily x\"]\n") ==
        "karreg.toml, line 1, column 9: an entry of `cron` has keys: schedule and command.");
  CHECK(toml_refused(good + good) ==
        "karreg.toml, line 5, column 12: `@daily x` is there twice. Remove one of the two.");
}

TEST_CASE("cron: neither blanks nor capitals make another entry of the same times") {
  const std::string first = "[[cron]]\nschedule = \"0 3 * * mon\"\ncommand = \"x\"\n";
  const auto plan = plan_of(app_with({{"karreg.toml",
                                       "[[cron]]\nschedule = \"\"\" 0  3\n* * MON \"\"\"\n"
                                       "command = \"  x  y\\n\"\n"}}));
  CHECK(cron_of(plan) == "0 3 * * MON=x  y");
  CHECK(rendered(plan).find("Cron:  0 3 * * MON (UTC, ") != std::string::npos);
  for (const char* again : {"0  3 * * mon", " 0 3 * * mon\\t", "0 3 * * Mon"}) {
    INFO(again);
    CHECK(toml_refused(first + "[[cron]]\nschedule = \"" + again + "\"\ncommand = \" x \"\n")
              .starts_with("karreg.toml, line 5, column 12: `0 3 * * "));
  }
  CHECK(cron_json_refused(R"(["@daily x", "@DAILY x"])") ==
        "clevercloud/cron.json, entry 2: `@DAILY x` is there twice. Remove one of the two.");
  // The capitals of a command are part of it.
  CHECK(plan_of(app_with({{"clevercloud/cron.json", R"(["@daily x", "@daily X"])"}})).cron.size() ==
        2);
}

TEST_CASE("clevercloud/cron.json: what is wrong is said with the entry") {
  CHECK(cron_json_refused("[").starts_with("clevercloud/cron.json, line 1, column 2: "));
  CHECK(cron_json_refused("{}") ==
        "clevercloud/cron.json: expected a list of texts, found object. For example [\"0 3 * * * "
        "$ROOT/clean.sh\"].");
  CHECK(cron_json_refused(R"(["0 3 * * * x", 5])") ==
        "clevercloud/cron.json, entry 2: must be text, for example \"0 3 * * * $ROOT/clean.sh\".");
  CHECK(cron_json_refused(R"(["0 3 * * * x", "0 3 * *"])")
            .starts_with("clevercloud/cron.json, entry 2: the schedule cannot be read: `0 3 * *` "
                         "has 4 fields and must have five: "));
  CHECK(cron_json_refused(R"(["0 3 * * *"])") ==
        "clevercloud/cron.json, entry 1: this entry of cron has no command.");
  CHECK(cron_json_refused(R"([""])").starts_with(
      "clevercloud/cron.json, entry 1: the schedule cannot be read: "));
  CHECK(
      cron_json_refused(R"(["@reboot x"])")
          .starts_with("clevercloud/cron.json, entry 1: the schedule cannot be read: `@reboot` "));
  CHECK(cron_json_refused(R"(["0 3 30 2 * x"])")
            .starts_with("clevercloud/cron.json, entry 1: the schedule cannot be read: `0 3 30 2 "
                         "*` never comes"));
  CHECK(cron_json_refused(R"(["0 3 * * * x", "0  3 * * *  x"])") ==
        "clevercloud/cron.json, entry 2: `0 3 * * * x` is there twice. Remove one of the two.");
}

TEST_CASE("fifty entries of cron are taken, and not one more") {
  auto entries = nlohmann::json::array();
  for (int i = 0; i < 50; ++i) entries.push_back("0 3 * * * job " + std::to_string(i));
  CHECK(plan_of(app_with({{"clevercloud/cron.json", entries.dump()}})).cron.size() == 50);
  entries.push_back("0 3 * * * one more");
  CHECK(cron_json_refused(entries.dump()) ==
        "clevercloud/cron.json, entry 51: this is one entry too many: cron may have 50.");
}

TEST_CASE("workers without a web process are refused with what is missing") {
  const std::string sentence =
      "It has workers (worker of Procfile) and no web process, and an app here listens for HTTP: "
      "its workers run beside that. Add a `web:` line to the Procfile, or set CC_RUN_COMMAND, with "
      "a command that answers on port 8080. ";
  CHECK(
      refusal_of({{"Procfile", "worker: ./w\n"}}).starts_with(sentence + "No known way to build "));
  // Also where the language is known, and no start of it.
  CHECK(refusal_of({{"cpanfile", ""}, {"Procfile", "worker: ./w\n"}})
            .starts_with(sentence + "Nothing says how to start this app"));
  CHECK(workers_of(plan_of({{"Procfile", "worker: ./w\nweb: ./s\n"}})) == "worker=./w");
}

TEST_CASE("a static site has workers, too") {
  const auto plan = plan_of({{"index.html", ""}, {"Procfile", "worker: ./w\n"}});
  CHECK(plan.runtime == "static");
  CHECK(workers_of(plan) == "worker=./w");
}

TEST_CASE("commands that no command line takes are refused by what they belong to") {
  const std::string bad("x\0y", 3);
  CHECK(
      refused({{"Procfile", "worker: " + bad + "\n"}}).starts_with("the worker worker has a zero"));
  CHECK(
      refused({}, {{"CC_RELEASE_COMMAND", "\xff"}}).starts_with("the release command has a zero"));
  CHECK(refused({{"karreg.toml", "[[cron]]\nschedule = \"@daily\"\ncommand = \"a\\u0000\"\n"}})
            .starts_with("a command of cron has a zero"));
}

TEST_CASE("the plan for people shows workers, release and cron") {
  const auto plan = plan_of(app_with(
      {{"karreg.toml",
        "[workers]\nmail = \"node mail.js\"\n[release]\ncommand = \"\"\"one\ntwo\"\"\"\n[[cron]]\n"
        "schedule = \"@daily\"\ncommand = \"node c.js\"\ntime-limit = \"10m\"\n"
        "catch-up = true\n"}}));
  CHECK(rendered(plan).find("Release, once a deployment:\n         one\n         two\n") !=
        std::string::npos);
  CHECK(rendered(plan).find(
            "   (port 8080)\nWorker: mail (started again: on-failure, after 1 s)\n"
            "         node mail.js\n"
            "Cron:  @daily (UTC, 600 s at most, and once for times that were missed)\n"
            "         node c.js\nWhy:\n") != std::string::npos);
  const auto json = nlohmann::json(plan);
  CHECK(json["workers"][0]["name"] == "mail");
  CHECK(json["release"] == "one\ntwo");
  CHECK(json["cron"][0]["wall_ms"] == 600'000);
}
