#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {
const std::string npm = " --no-audit --no-fund";
}

TEST_CASE("an app without dependencies is not built, and its start script runs without npm") {
  const auto plan =
      plan_of({{"package.json", R"({"scripts":{"start":"node server.js"}})"}, {"server.js", ""}});
  CHECK(plan.runtime == "node");
  CHECK(plan.tool == "npm");
  CHECK(plan.steps.empty());
  CHECK(plan.run_command == std::vector<std::string>{"/bin/sh", "-c", "exec node server.js"});
  CHECK(plan.output_root == "/app");
  CHECK(plan.port == 8080);
  CHECK(plan.env.at("NODE_ENV") == "production");
  CHECK(plan.reasons.front() == "Detected Node.js (package.json).");
  CHECK(gives_reason(plan, "Nothing to build: the files are the app."));
  CHECK(gives_reason(plan, "Start: node server.js (scripts.start of package.json)."));
}

TEST_CASE("node: what npm installs from a lock file is kept for the next build") {
  const Files files = {{"package.json", R"({"dependencies":{"a":"1"},"main":"i.js"})"},
                       {"package-lock.json", "{}"},
                       {"i.js", ""}};
  const auto script_of = [&](const std::string& manifest) {
    Files changed = files;
    changed["package.json"] = manifest;
    return command_of(plan_of(changed), "install");
  };
  CHECK(command_of(plan_of(files), "install").starts_with("kept=/cache/node_modules\n"));
  // What the app itself does at an install may read any file of it, and write any.
  for (const char* script : {"postinstall", "prepare", "preinstall", "install"})
    CHECK(script_of(R"({"dependencies":{"a":"1"},"main":"i.js","scripts":{")" +
                    std::string(script) + R"(":"patch-package"}})") == "npm ci --omit=dev" + npm);
  CHECK(script_of(R"({"dependencies":{"a":"1"},"main":"i.js","workspaces":["a"]})") ==
        "npm ci --omit=dev" + npm);
}

TEST_CASE("node: what is installed and built") {
  struct Case {
    std::string name, manifest;
    Files others;
    std::string steps, install;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {"dependencies and a lock file",
       R"({"dependencies":{"a":"1"},"main":"i.js"})",
       {{"package-lock.json", "{}"}, {"i.js", ""}},
       "install",
       "npm ci --omit=dev" + npm},
      {"a shrinkwrap is a lock file",
       R"({"dependencies":{"a":"1"},"main":"i.js"})",
       {{"npm-shrinkwrap.json", "{}"}, {"i.js", ""}},
       "install",
       "npm ci --omit=dev" + npm},
      {"no lock file",
       R"({"dependencies":{"a":"1"},"main":"i.js"})",
       {{"i.js", ""}},
       "install",
       "npm install --omit=dev" + npm},
      {"empty dependencies are none",
       R"({"dependencies":{},"main":"i.js"})",
       {{"i.js", ""}},
       "",
       "(no step install)"},
      {"development dependencies alone are left out",
       R"({"devDependencies":{"jest":"1"},"main":"i.js"})",
       {{"i.js", ""}},
       "",
       "(no step install)"},
      {"a build script brings them in and prunes them",
       R"({"devDependencies":{"tsc":"1"},"scripts":{"build":"tsc"},"main":"out/i.js"})",
       {{"package-lock.json", "{}"}},
       "install|build|prune",
       "npm ci --include=dev" + npm},
      {"a build script alone",
       R"({"scripts":{"build":"node make.js"},"main":"i.js"})",
       {{"i.js", ""}},
       "build",
       "(no step install)"},
      {"workspaces install",
       R"({"workspaces":["a"],"main":"i.js"})",
       {{"i.js", ""}},
       "install",
       "npm install --omit=dev" + npm},
  }));
  INFO(c.name);
  Files files = c.others;
  files["package.json"] = c.manifest;
  const auto plan = plan_of(files);
  CHECK(step_names(plan) == c.steps);
  CHECK(install_of(plan) == c.install);
}

TEST_CASE("node: how it starts") {
  struct Case {
    std::string name, manifest;
    Files others;
    std::string run;
  };
  const auto c = GENERATE(values<Case>({
      {"the start script",
       R"({"scripts":{"start":"node a.js"},"main":"b.js"})",
       {{"b.js", ""}},
       "/bin/sh -c exec node a.js"},
      {"prestart comes first",
       R"({"scripts":{"prestart":"node m.js","start":"node a.js"}})",
       {},
       "/bin/sh -c node m.js && node a.js"},
      {"a list of commands keeps its shell",
       R"({"scripts":{"start":"cd src && node a.js"}})",
       {},
       "/bin/sh -c cd src && node a.js"},
      {"a variable before the command keeps its shell",
       R"({"scripts":{"start":"NODE_OPTIONS=-r node a.js"}})",
       {},
       "/bin/sh -c NODE_OPTIONS=-r node a.js"},
      {"scripts called by npm are put in their place",
       R"({"scripts":{"start":"node m.js && npm run serve","serve":"npm run-script x","x":"npx next start"}})",
       {},
       "/bin/sh -c node m.js && next start"},
      {"main", R"({"main":"./lib/b.js"})", {{"lib/b.js", ""}}, "/usr/bin/node lib/b.js"},
      {"main that a build makes",
       R"({"main":"out/b.js","scripts":{"build":"x"}})",
       {},
       "/usr/bin/node out/b.js"},
      {"main that does not exist is passed over",
       R"({"main":"index.js"})",
       {{"server.js", ""}},
       "/usr/bin/node server.js"},
      {"server.js before index.js",
       "{}",
       {{"server.js", ""}, {"index.js", ""}},
       "/usr/bin/node server.js"},
      {"index.js", "{}", {{"index.js", ""}}, "/usr/bin/node index.js"},
      {"a Procfile wins over package.json",
       R"({"scripts":{"start":"node a.js"}})",
       {{"Procfile", "web: node p.js\n"}},
       "/bin/sh -c exec node p.js"},
  }));
  INFO(c.name);
  Files files = c.others;
  files["package.json"] = c.manifest;
  CHECK(run_of(plan_of(files)) == c.run);
}

TEST_CASE("node: bad input is refused with place and cure") {
  struct Case {
    std::string name, manifest, message;
  };
  const auto c = GENERATE(values<Case>({
      {"malformed JSON", "{\n  \"name\": \"x\",\n  oops\n}",
       "package.json, line 3, column 3: syntax error while parsing object key - invalid literal; "
       "last "
       "read: '\"x\",<U+000A>  o'; expected string literal"},
      {"not an object", "[]", "package.json: expected a JSON object, found array."},
      {"scripts is no object", R"({"scripts":3})", "package.json: `scripts` must be an object."},
      {"start is no text", R"({"scripts":{"start":[]}})",
       "package.json: `scripts.start` must be text."},
      {"a script that does not exist", R"({"scripts":{"start":"npm run serve"}})",
       "package.json: the start script calls `npm run serve`, and scripts.serve does not exist."},
      {"a script that calls itself", R"({"scripts":{"start":"npm start"}})",
       "package.json: the start script calls `npm start`, and scripts.start calls itself."},
      {"npm at run time", R"({"scripts":{"start":"npm ci && node a.js"}})",
       "package.json: the start script calls `npm ci`, but npm is not there when the app runs. "
       "Call the "
       "program itself, or set CC_RUN_COMMAND; what belongs to the build goes into scripts.build."},
      {"nothing to start", R"({"name":"x"})",
       "Nothing says how to start this app: package.json has no scripts.start and no main, and "
       "there "
       "is no server.js or index.js. Add \"scripts\": {\"start\": \"node your-file.js\"} to "
       "package.json, or set CC_RUN_COMMAND."},
      {"main does not exist", R"({"main":"app.js"})",
       "Nothing says how to start this app: package.json has no scripts.start, its main (app.js) "
       "does "
       "not exist, and there is no server.js or index.js. Add \"scripts\": {\"start\": \"node "
       "your-file.js\"} to package.json, or set CC_RUN_COMMAND."},
  }));
  INFO(c.name);
  CHECK(refusal_of({{"package.json", c.manifest}}) == c.message);
}

TEST_CASE("node: lock files of other managers are told") {
  const auto plan = plan_of(
      {{"package.json", R"({"dependencies":{"a":"1"}})"}, {"yarn.lock", ""}, {"index.js", ""}},
      {{"CC_NODE_BUILD_TOOL", "npm"}});
  CHECK(gives_reason(plan, "yarn.lock was seen and is not used: npm installs the dependencies."));
}

TEST_CASE("node: name and version are in the environment as under npm") {
  const auto plan = plan_of(
      {{"package.json", R"({"name":"shop","version":"1.2.0","main":"i.js"})"}, {"i.js", ""}});
  CHECK(plan.env.at("npm_package_name") == "shop");
  CHECK(plan.env.at("npm_package_version") == "1.2.0");
}
