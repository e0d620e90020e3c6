#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {
const std::string server = "Deno.serve(() => new Response('hello'));\n";
}

TEST_CASE("a file for Deno is fetched with what it imports and run") {
  const auto plan = plan_of({{"main.ts", server}});
  CHECK(plan.runtime == "deno");
  CHECK(plan.tool == "deno");
  CHECK(step_names(plan) == "install");
  CHECK(command_of(plan, "install") == "deno cache main.ts");
  CHECK(run_of(plan) == "/usr/bin/deno run --allow-all main.ts");
  CHECK(plan.output_root == "/app");
  CHECK(plan.problem.empty());
  CHECK(plan.env == Env{{"DENO_DIR", "/app/.deno"}, {"DENO_SERVE_ADDRESS", "tcp:0.0.0.0:8080"}});
  CHECK(plan.reasons.front() == "Detected Deno (main.ts).");
  CHECK(gives_reason(plan, "Install: deno cache main.ts, into /app/.deno."));
  CHECK(gives_reason(plan, "Start: deno run --allow-all main.ts (the file is there)."));
}

TEST_CASE("deno: a file is Deno's by what it imports") {
  const auto text = GENERATE(values<std::string>(
      {"import x from \"https://deno.land/std/x.ts\"", "Deno.env", "import 'jsr:@std/http'",
       "import x from \"npm:express\"", "import 'npm:x'", "import \"jsr:x\""}));
  INFO(text);
  CHECK(plan_of({{"server.ts", text}}).tool == "deno");
  CHECK(plan_of({{"server.ts", text}, {"index.html", ""}}).tool == "deno");
}

TEST_CASE("deno: a TypeScript file of nobody's is not Deno's") {
  CHECK(refusal_of({{"main.ts", "console.log(1)\n"}}).starts_with("No known way to build this"));
}

TEST_CASE("deno: how it starts, and what is fetched for it") {
  struct Case {
    std::string name;
    Files files;
    std::string run, install;
  };
  const auto c = GENERATE(values<Case>({
      {"tasks.start and its file",
       {{"deno.json", R"({"tasks":{"start":"deno run -A ./web/serve.tsx && echo x"}})"},
        {"web/serve.tsx", ""},
        {"main.ts", ""}},
       "/usr/bin/deno task start",
       "deno install\ndeno cache web/serve.tsx"},
      {"a task with a description",
       {{"deno.json", R"({"tasks":{"start":{"command":"deno run -A a.ts"}}})"}, {"a.ts", ""}},
       "/usr/bin/deno task start",
       "deno install\ndeno cache a.ts"},
      {"a file that the build makes",
       {{"deno.json", R"({"tasks":{"start":"deno serve -A _fresh/server.js"}})"}},
       "/usr/bin/deno task start",
       "deno install"},
      {"comments and last commas",
       {{"deno.jsonc",
         "{ // tasks\n  \"tasks\": {\n    /* , } */ \"start\": \"deno run a.ts // }\",\n  "
         "},\n}\n"}},
       "/usr/bin/deno task start",
       "deno install"},
      {"main.ts before server.ts",
       {{"deno.json", "{}"}, {"server.ts", ""}, {"main.ts", ""}},
       "/usr/bin/deno run --allow-all main.ts",
       "deno install\ndeno cache main.ts"},
      {"a file that exports its handler",
       {{"deno.json", "{}"}, {"main.ts", "export default { fetch: () => new Response('x') };\n"}},
       "/usr/bin/deno serve --allow-all --host 0.0.0.0 --port 8080 main.ts",
       "deno install\ndeno cache main.ts"},
      {"one that exports and serves itself",
       {{"deno.json", "{}"},
        {"main.ts", "export default app;\nawait app.listen({ port: 8080 });\n"}},
       "/usr/bin/deno run --allow-all main.ts",
       "deno install\ndeno cache main.ts"},
      {"a Procfile and its file",
       {{"deno.json", R"({"tasks":{"start":"deno run a.ts"}})"},
        {"a.ts", ""},
        {"b.ts", ""},
        {"Procfile", "web: deno run -A \"b.ts\"\n"}},
       "/bin/sh -c exec deno run -A \"b.ts\"",
       "deno install\ndeno cache b.ts"},
      {"nothing outside",
       {{"deno.json", R"({"tasks":{"start":"deno run ../a.ts /etc/b.ts"}})"}},
       "/usr/bin/deno task start",
       "deno install"},
  }));
  INFO(c.name);
  const auto plan = plan_of(c.files);
  CHECK(run_of(plan) == c.run);
  CHECK(command_of(plan, "install") == c.install);
}

TEST_CASE("deno: tasks.build builds, and CC_BUILD_COMMAND replaces it") {
  const Files files = {{"deno.json", R"({"tasks":{"build":"vite build"}})"}, {"main.ts", server}};
  const auto plan = plan_of(files);
  CHECK(step_names(plan) == "install|build");
  CHECK(command_of(plan, "build") == "deno task build");
  CHECK(gives_reason(plan, "Build: vite build (tasks.build of deno.json)."));
  CHECK(command_of(plan_of(files, {{"CC_BUILD_COMMAND", "make"}}), "build") == "make");
}

TEST_CASE("deno: bad input is refused with place and cure") {
  const std::string nothing =
      "Nothing says how to start this app: deno.json has no tasks.start, and there is no main.ts, "
      "server.ts or index.ts. Add one, or set CC_RUN_COMMAND.";
  struct Case {
    std::string text, message;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {"{\n  \"tasks\": oops\n}", "deno.json, line 2, column 12: "},
      {"{ \"a\": [1,,] }", "deno.json, line 1, column 12: "},
      {"{\"a\": \"x", "deno.json, line 1, column 9: "},
      {"{\"a\": 1 /* x", "deno.json, line 1, column "},
      {"{\"a\\", "deno.json, line 1, column "},
      {"", "deno.json, line 1, column 1: "},
      {"[]", "deno.json: expected a JSON object, found array."},
      {"{}", nothing},
      {R"({"tasks":[],})", nothing},
      {R"({"tasks":{"start":3,"build":{"command":[]}}})", nothing},
      {R"({"tasks":{"start":" "}})", nothing},
  }));
  INFO(c.text);
  CHECK(refusal_of({{"deno.json", c.text}}).substr(0, c.message.size()) == c.message);
}

TEST_CASE("deno: beside a package.json it decides by its start") {
  const std::string node = R"({"scripts":{"start":"node a.js"}})";
  const std::string task = R"({"tasks":{"start":"deno run -A src/main.ts"}})";
  const auto tool = [](const std::string& deno, const std::string& package, const Env& env = {}) {
    return plan_of({{"deno.json", deno}, {"package.json", package}, {"src/main.ts", server}}, env)
        .tool;
  };
  CHECK(tool(task, node) == "deno");
  CHECK(tool(R"({"fmt":{}})", node) == "npm");
  CHECK(tool(R"({"fmt":{}})", "{}") == "deno");
  CHECK(tool("{}", "{}", {{"CC_RUN_COMMAND", "deno run -A x.ts"}}) == "deno");
  CHECK(tool("{}", "{}", {{"CC_RUN_COMMAND", "node x.js"}}) == "npm");
  CHECK(plan_of({{"main.ts", server}, {"package.json", node}}).tool == "npm");
}
