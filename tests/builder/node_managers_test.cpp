// Package managers, versions and packages of several apps: what decides, and what runs.
#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {

const std::string depends = R"({"dependencies":{"a":"1"},"main":"i.js"})";

Files with(const std::string& manifest, Files more = {}) {
  more["package.json"] = manifest;
  more["i.js"] = "";
  return more;
}

std::string last_line(const std::string& text) {
  return text.substr(text.rfind('\n') + 1);
}

}  // namespace

TEST_CASE("node: which manager installs, and how") {
  struct Case {
    std::string name;
    Files files;
    Env env;
    std::string tool, fetched, install;
  };
  const std::string at = "/tmp/karreg-tools/bin/";
  const auto c = GENERATE_COPY(values<Case>({
      {"a lock file of pnpm 9",
       with(depends, {{"pnpm-lock.yaml", "lockfileVersion: '9.0'\n"}}),
       {},
       "pnpm",
       "pnpm@9",
       at + "pnpm install --frozen-lockfile --prod --store-dir=/cache/pnpm"},
      {"a lock file of pnpm 8",
       with(depends, {{"pnpm-lock.yaml", "lockfileVersion: '6.0'\n"}}),
       {},
       "pnpm",
       "pnpm@8",
       at + "pnpm install --frozen-lockfile --prod --store-dir=/cache/pnpm"},
      {"a lock file of pnpm 7",
       with(depends, {{"pnpm-lock.yaml", "lockfileVersion: 5.4\n"}}),
       {},
       "pnpm",
       "pnpm@7",
       at + "pnpm install --frozen-lockfile --prod --store-dir=/cache/pnpm"},
      {"a lock file of yarn 1",
       with(depends, {{"yarn.lock", "# yarn lockfile v1\n"}}),
       {},
       "yarn",
       "yarn@1.22.22",
       at + "yarn install --frozen-lockfile --production --non-interactive"},
      {"packageManager wins over lock files",
       with(R"({"dependencies":{"a":"1"},"main":"i.js","packageManager":"pnpm@8.15.4+sha256.abc"})",
            {{"yarn.lock", ""}}),
       {},
       "pnpm",
       "pnpm@8.15.4",
       at + "pnpm install --prod --store-dir=/cache/pnpm"},
      {"engines name a manager",
       with(R"({"dependencies":{"a":"1"},"main":"i.js","engines":{"yarn":">=1"}})"),
       {},
       "yarn",
       "yarn@1.22.22",
       at + "yarn install --production --non-interactive"},
      {"the setting wins over all",
       with(depends, {{"yarn.lock", ""}, {"package-lock.json", "{}"}}),
       {{"CC_NODE_BUILD_TOOL", "npm-ci"}},
       "npm",
       "",
       "npm ci --omit=dev --no-audit --no-fund"},
      {"several lock files: pnpm before yarn before npm",
       with(depends, {{"yarn.lock", ""}, {"package-lock.json", "{}"}}),
       {},
       "yarn",
       "yarn@1.22.22",
       at + "yarn install --frozen-lockfile --production --non-interactive"},
      {"bun is part of its runtime",
       with(depends, {{"bun.lock", "{}"}}),
       {},
       "bun",
       "",
       "bun install --frozen-lockfile --production"},
  }));
  INFO(c.name);
  const auto plan = plan_of(c.files, c.env);
  CHECK(plan.tool == c.tool);
  const std::string install = command_of(plan, "install");
  CHECK(last_line(install_of(plan)) == c.install);
  CHECK((install.find("npm install --global --prefix /tmp/karreg-tools --no-audit --no-fund " +
                      c.fetched + "\n") != std::string::npos) == !c.fetched.empty());
}

TEST_CASE("node: yarn berry is known by its lock file, its settings or its version") {
  const std::string berry =
      R"({"dependencies":{"a":"1"},"main":"i.js","packageManager":"yarn@4.1.0"})";
  CHECK(plan_of(with(depends, {{"yarn.lock", "__metadata:\n  version: 8\n"}})).tool ==
        "yarn-berry");
  CHECK(plan_of(with(depends, {{"yarn.lock", ""}, {".yarnrc.yml", ""}})).tool == "yarn-berry");
  const auto plan = plan_of(with(berry, {{"yarn.lock", ""}}));
  CHECK(plan.tool == "yarn-berry");
  CHECK(command_of(plan, "install").find("@yarnpkg/cli-dist@4.1.0") != std::string::npos);
  CHECK(last_line(command_of(plan, "install")).starts_with("YARN_NODE_LINKER=node-modules "));
  const auto own =
      plan_of(with(depends, {{"yarn.lock", ""},
                             {".yarnrc.yml", "yarnPath: .yarn/releases/yarn-3.6.1.cjs\n"},
                             {".yarn/releases/yarn-3.6.1.cjs", ""}}));
  CHECK(command_of(own, "install")
            .ends_with("node .yarn/releases/yarn-3.6.1.cjs install --immutable"));
}

TEST_CASE("node: a manager that nobody knows is refused") {
  CHECK(refusal_of(with(R"({"packageManager":"cargo@1"})")) ==
        "packageManager of package.json names `cargo`, which is no package manager that is known "
        "here: npm, pnpm, yarn, yarn-berry, bun.");
}

TEST_CASE("node: a start script runs without its manager, whichever that is") {
  struct Case {
    std::string start, line;
  };
  const auto c = GENERATE(values<Case>({
      {"yarn serve", "node s.js"},
      {"yarn run serve", "node s.js"},
      {"pnpm serve", "node s.js"},
      {"pnpm run serve", "node s.js"},
      {"npm run serve", "node s.js"},
      {"npm run serve -- --port 1", "node s.js --port 1"},
      {"npx next start", "next start"},
      {"yarn next start", "next start"},
      {"pnpm exec next start", "next start"},
      {"npm run serve && yarn serve", "node s.js && node s.js"},
  }));
  INFO(c.start);
  const auto plan = plan_of(
      {{"package.json", R"({"scripts":{"serve":"node s.js","start":")" + c.start + R"("}})"}});
  CHECK(gives_reason(plan, "Start: " + c.line + " (scripts.start of package.json)."));
}

TEST_CASE("node: bun runs scripts and files itself") {
  const auto plan = plan_of({{"package.json", R"({"scripts":{"start":"bun run index.ts"}})"},
                             {"bun.lockb", ""},
                             {"index.ts", ""}});
  CHECK(plan.runtime == "bun");
  CHECK(run_of(plan) == "/bin/sh -c exec bun run index.ts");
  CHECK(run_of(plan_of(
            {{"package.json", R"({"module":"index.ts"})"}, {"bun.lock", ""}, {"index.ts", ""}})) ==
        "/usr/bin/bun index.ts");
  CHECK(refusal_of({{"package.json", R"({"scripts":{"start":"bun index.ts"}})"}})
            .find("bun is not there when the app runs") != std::string::npos);
}

TEST_CASE("node: development dependencies stay when the start needs one") {
  const auto kept = [](const std::string& start, const std::string& package) {
    const auto plan = plan_of(
        {{"package.json", R"({"devDependencies":{")" + package +
                              R"(":"1"},"scripts":{"build":"x","start":")" + start + R"("}})"}});
    return step_names(plan) == "install|build" &&
           gives_reason(plan, "Development dependencies stay: the start needs " + package + ".");
  };
  CHECK(kept("ts-node index.ts", "ts-node"));
  CHECK(kept("NODE_ENV=production tsx index.ts", "tsx"));
  CHECK(kept("cross-env A=1 tsx index.ts", "tsx"));
  CHECK(kept("nest start", "@nestjs/cli"));
  CHECK(kept("remix-serve ./build", "@remix-run/serve"));
  CHECK_FALSE(kept("node index.js", "ts-node"));
  CHECK_FALSE(kept("node index.js", "@types/node"));
}

TEST_CASE("node: the version that is asked for, by whom, strongest first") {
  struct Case {
    std::string name;
    Files files;
    Env env;
    std::string runtime, origin;
  };
  const std::string plain = R"({"main":"i.js"})";
  const std::string engine = R"({"main":"i.js","engines":{"node":"22.x"}})";
  const auto c = GENERATE_COPY(values<Case>({
      {"nobody asks", with(plain), {}, "node", ""},
      {"engines", with(engine), {}, "node-22", "engines.node of package.json"},
      {"the setting", with(engine), {{"CC_NODE_VERSION", "24"}}, "node-24", "CC_NODE_VERSION"},
      {".nvmrc", with(plain, {{".nvmrc", "v22.1.0\n"}}), {}, "node-22", ".nvmrc"},
      {"a name in .nvmrc", with(plain, {{".nvmrc", "lts/jod\n"}}), {}, "node-22", ".nvmrc"},
      {"lts/* asks for nothing", with(plain, {{".nvmrc", "lts/*\n"}}), {}, "node", ""},
      {".node-version",
       with(plain, {{".node-version", "18.12.0"}}),
       {},
       "node-18",
       ".node-version"},
      {".tool-versions",
       with(plain, {{".tool-versions", "ruby 3.2\nnodejs 22.3.0\n"}}),
       {},
       "node-22",
       ".tool-versions"},
      {"volta",
       with(R"({"main":"i.js","volta":{"node":"24.0.0"}})"),
       {},
       "node-24",
       "volta.node of package.json"},
  }));
  INFO(c.name);
  const auto plan = plan_of(c.files, c.env);
  CHECK(plan.runtime == c.runtime);
  CHECK(plan.problem.empty());
  const bool told = std::ranges::any_of(plan.reasons, [&](const std::string& reason) {
    return reason.starts_with("Version: Node.js ") &&
           (c.origin.empty() ? reason.find("asks") == std::string::npos
                             : reason.find("(" + c.origin + " asks for ") != std::string::npos);
  });
  CHECK(told);
}

TEST_CASE("node: a repository of several packages starts the one that can be started") {
  const std::string root = R"({"private":true,"workspaces":["apps/*","packages/*"]})";
  const Files one = {{"package.json", root},
                     {"apps/web/package.json", R"({"scripts":{"start":"node s.js"}})"},
                     {"packages/ui/package.json", R"({"name":"ui"})"}};
  const auto plan = plan_of(one);
  CHECK(run_of(plan) == "/bin/sh -c cd apps/web && node s.js");
  CHECK(gives_reason(plan,
                     "Start: cd apps/web && node s.js (scripts.start of apps/web/package.json)."));
  CHECK(step_names(plan) == "install");
  Files several = one;
  several["apps/api/package.json"] = R"({"scripts":{"start":"node a.js"}})";
  CHECK(
      refusal_of(several) ==
      "This repository has several packages with a start script: apps/api, apps/web. Say which one "
      "is this app with CC_RUN_COMMAND, for example `cd apps/api && node server.js`.");
  Files pnpm = {{"package.json", R"({"private":true})"},
                {"pnpm-workspace.yaml", "packages:\n  - \"apps/*\"\n"},
                {"apps/web/package.json", R"({"scripts":{"start":"node s.js"}})"}};
  CHECK(run_of(plan_of(pnpm)) == "/bin/sh -c cd apps/web && node s.js");
}

TEST_CASE("node: Nx builds and starts its default project") {
  const auto plan = plan_of(
      {{"package.json", R"({"scripts":{"build":"nx build","start":"nx serve"},
                           "dependencies":{"express":"4"},"devDependencies":{"nx":"1"}})"},
       {"nx.json", R"({"defaultProject":"api"})"},
       {"apps/api/project.json",
        R"({"targets":{"build":{"executor":"@nrwl/node:webpack","options":{"outputPath":"dist/apps/api"}}}})"}});
  CHECK(command_of(plan, "build") == "npx nx run api:build:production");
  CHECK(run_of(plan) == "/usr/bin/node dist/apps/api/main.js");
}
