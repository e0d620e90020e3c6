// What Vite, Astro and their like make is served without Node.js.
#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {

std::string needs(const std::string& package, const std::string& build = "b",
                  const std::string& start = "") {
  return R"({"devDependencies":{")" + package + R"(":"1"},"scripts":{"build":")" + build + "\"" +
         (start.empty() ? "" : R"(,"start":")" + start + "\"") + "}}";
}

}  // namespace

TEST_CASE("a site is built with Node.js and served without it") {
  const auto plan = plan_of({{"package.json", needs("vite", "vite build")}, {"index.html", ""}});
  CHECK(plan.runtime == "static");
  CHECK(plan.build_runtime == "node");
  CHECK(plan.built_on() == "node");
  CHECK(plan.output_root == "/app/dist");
  CHECK(step_names(plan) == "install|build|site");
  CHECK(command_of(plan, "site").find("test -f /app/dist/index.html") == 0);
  CHECK(run_of(plan) == "/usr/lib/karreg/serve-static --single-page /app");
  CHECK(
      gives_reason(plan,
                   "Start: the file server on dist (vite makes files that need no server of their "
                   "own)."));
}

TEST_CASE("node: the folder that each generator makes, and whether unknown paths get its page") {
  struct Case {
    std::string name;
    Files files;
    Env env;
    std::string folder;
    bool single_page;
  };
  const auto c = GENERATE(values<Case>({
      {"Vite", {{"package.json", needs("vite")}}, {}, "dist", true},
      {"Vite with a folder in its settings",
       {{"package.json", needs("vite")},
        {"vite.config.ts", "export default { build: { outDir: './out' } }"}},
       {},
       "out",
       true},
      {"Vite with a folder in the script",
       {{"package.json", needs("vite", "vite build --outDir www")}},
       {},
       "www",
       true},
      {"the owner's folder",
       {{"package.json", needs("vite")}},
       {{"CC_WEBROOT", "/build"}},
       "build",
       true},
      {"Create React App",
       {{"package.json", needs("react-scripts", "b", "react-scripts start")}},
       {},
       "build",
       true},
      {"Vue", {{"package.json", needs("@vue/cli-service")}}, {}, "dist", true},
      {"Angular",
       {{"package.json", needs("@angular/cli", "ng build", "ng serve")},
        {"angular.json",
         R"({"projects":{"shop":{"architect":{"build":{"builder":"@angular/build:application","options":{}}}}}})"}},
       {},
       "dist/shop/browser",
       true},
      {"Astro", {{"package.json", needs("astro", "astro build", "astro dev")}}, {}, "dist", false},
      {"Docusaurus",
       {{"package.json", needs("@docusaurus/core", "docusaurus build", "docusaurus start")}},
       {},
       "build",
       false},
      {"VitePress",
       {{"package.json", needs("vitepress")}, {"docs/.vitepress/config.js", ""}},
       {},
       "docs/.vitepress/dist",
       false},
      {"Eleventy", {{"package.json", needs("@11ty/eleventy")}}, {}, "_site", false},
      {"Next.js that exports",
       {{"package.json", needs("next")},
        {"next.config.js", "module.exports = { output: 'export' }"}},
       {},
       "out",
       false},
      {"Nuxt that generates",
       {{"package.json", needs("nuxt", "nuxt generate")}},
       {},
       ".output/public",
       false},
      {"React Router without a server",
       {{"package.json", needs("@react-router/dev")},
        {"react-router.config.ts", "export default { ssr: false }"}},
       {},
       "build/client",
       true},
  }));
  INFO(c.name);
  const auto plan = plan_of(c.files, c.env);
  CHECK(plan.runtime == "static");
  CHECK(plan.output_root == "/app/" + c.folder);
  CHECK((run_of(plan).find("--single-page") != std::string::npos) == c.single_page);
}

TEST_CASE("an angular.json without a project, or of another kind, leaves the usual folder") {
  for (const char* text : {R"({"projects":{}})", R"({"projects":[]})", R"({"projects":[1]})", "{}",
                           R"({"projects":{"shop":1}})", "nonsense"}) {
    INFO(text);
    const auto plan =
        plan_of({{"package.json", needs("@angular/cli", "ng build")}, {"angular.json", text}});
    CHECK(plan.output_root == "/app/dist");
  }
}

TEST_CASE("a folder that the settings only seem to name is taken from where the tool puts it") {
  const auto plan =
      plan_of({{"package.json", needs("vite")},
               {"vite.config.ts", "export default { plugins: [], outDir: 'build' }"}});
  CHECK(plan.output_root == "/app/build");
  CHECK(command_of(plan, "site").find("mv /app/dist /app/build\n") != std::string::npos);
}

TEST_CASE("the folder of a site does not leave the app") {
  CHECK(refusal_of({{"package.json", needs("vite")}}, {{"CC_WEBROOT", "/../etc"}})
            .starts_with("CC_WEBROOT=/../etc: there is no such folder in the app. "));
}

TEST_CASE("an app with a server of its own is no site") {
  struct Case {
    std::string name, manifest, run;
  };
  const auto c = GENERATE(values<Case>({
      {"its start script is a server", needs("vite", "b", "node server.js"),
       "/bin/sh -c exec node server.js"},
      {"Next.js", needs("next", "next build", "next start"), "/bin/sh -c exec next start"},
      {"Next.js without a start", needs("next"),
       "/bin/sh -c exec next start --hostname 0.0.0.0 --port 8080"},
      {"Nuxt", needs("nuxt", "nuxt build"), "/bin/sh -c exec node .output/server/index.mjs"},
      {"SvelteKit for Node.js",
       R"({"devDependencies":{"vite":"1","@sveltejs/adapter-node":"1"},"scripts":{"build":"vite build"}})",
       "/bin/sh -c exec node build/index.js"},
      {"Vite beside Express",
       R"({"dependencies":{"express":"1"},"devDependencies":{"vite":"1"},"scripts":{"build":"b"},"main":"s.js"})",
       "/usr/bin/node s.js"},
  }));
  INFO(c.name);
  const auto plan = plan_of({{"package.json", c.manifest}, {"s.js", ""}});
  CHECK(plan.runtime == "node");
  CHECK(run_of(plan) == c.run);
}

TEST_CASE("the owner's start command makes a server of a site") {
  const auto plan = plan_of({{"package.json", needs("vite")}}, {{"CC_RUN_COMMAND", "node own.js"}});
  CHECK(plan.runtime == "node");
  CHECK(run_of(plan) == "/bin/sh -c exec node own.js");
}

TEST_CASE("a site beside an app in another language is that app's assets") {
  const auto plan =
      plan_of({{"package.json", needs("vite")}, {"requirements.txt", "flask\n"}, {"app.py", ""}});
  CHECK(plan.runtime == "python");
  CHECK(gives_reason(
      plan, "Also seen: package.json (Node.js). An app of the type node would use it instead."));
  CHECK(plan_of({{"package.json", needs("vite")}, {"index.html", ""}}).runtime == "static");
}
