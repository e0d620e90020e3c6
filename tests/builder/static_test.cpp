#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

TEST_CASE("static: the folder of index.html is served") {
  struct Case {
    std::string file, served, reason;
  };
  const auto c = GENERATE(values<Case>({
      {"index.html", "/app", "Start: the file server on /app (index.html)."},
      {"public/index.html", "/app/public",
       "Start: the file server on /app/public (public/index.html)."},
      {"dist/index.html", "/app/dist", "Start: the file server on /app/dist (dist/index.html)."},
  }));
  const auto plan = plan_of({{c.file, "<p>"}});
  CHECK(plan.runtime == "static");
  CHECK(plan.tool == "none");
  CHECK(plan.steps.empty());
  CHECK(run_of(plan) == "/usr/lib/karreg/serve-static " + c.served);
  CHECK(plan.reasons.front() == "Detected static site (" + c.file + ").");
  CHECK(gives_reason(plan, c.reason));
}

TEST_CASE("static: CC_WEBROOT chooses the folder") {
  CHECK(run_of(plan_of({{"docs/a.html", ""}}, {{"CC_WEBROOT", "/docs/"}})) ==
        "/usr/lib/karreg/serve-static /app/docs");
  CHECK(
      refusal_of({{"index.html", ""}}, {{"CC_WEBROOT", "/nope"}}) ==
      "CC_WEBROOT=/nope: there is no such folder in the app. Give a folder of the repository, for "
      "example CC_WEBROOT=/public.");
  CHECK(refusal_of({{"index.html", ""}}, {{"CC_WEBROOT", "../etc"}, {"CC_BUILD_COMMAND", "make"}})
            .starts_with("CC_WEBROOT=../etc: "));
}

TEST_CASE("static: a build command makes the folder that is served") {
  const auto plan =
      plan_of({{"pages/a.md", ""}}, {{"CC_WEBROOT", "/out"}, {"CC_BUILD_COMMAND", "make out"}});
  CHECK(command_of(plan, "build") == "make out");
  CHECK(run_of(plan) == "/usr/lib/karreg/serve-static /app/out");
}

TEST_CASE("static: the folder of index.html, in this order") {
  Files files;
  for (const char* folder : {"_site", "www", "site", "build", "dist", "public"}) {
    files[std::string(folder) + "/index.html"] = "";
    CHECK(run_of(plan_of(files)) == "/usr/lib/karreg/serve-static /app/" + std::string(folder));
  }
  files["index.html"] = "";
  CHECK(run_of(plan_of(files)) == "/usr/lib/karreg/serve-static /app");
}

TEST_CASE("static: CC_WEBROOT in all its spellings") {
  const Files files = {{"docs/en/a.html", ""}};
  for (const char* given : {"docs/en", "/docs/en/", "./docs/en", "docs//en", "/docs/./en/."})
    CHECK(run_of(plan_of(files, {{"CC_WEBROOT", given}})) ==
          "/usr/lib/karreg/serve-static /app/docs/en");
  for (const char* root : {"/", ".", "./"})
    CHECK(run_of(plan_of(files, {{"CC_WEBROOT", root}})) == "/usr/lib/karreg/serve-static /app");
  for (const char* outside : {"..", "docs/../..", "/../etc", "docs/.."})
    CHECK(refusal_of(files, {{"CC_WEBROOT", outside}})
              .starts_with("CC_WEBROOT=" + std::string(outside) + ": there is no such folder"));
  CHECK(run_of(plan_of({{"a/b.html", ""}, {"karreg.toml", "[run]\nwebroot = \"/a\"\n"}})) ==
        "/usr/lib/karreg/serve-static /app/a");
}

TEST_CASE("static: a generator makes the site") {
  struct Case {
    Files files;
    std::string tool, file, command, served;
  };
  const auto c = GENERATE(values<Case>({
      {{{"hugo.toml", ""}, {"content/a.md", ""}}, "hugo", "hugo.toml", "hugo --minify", "public"},
      {{{"hugo.yaml", ""}, {"content/a.md", ""}}, "hugo", "hugo.yaml", "hugo --minify", "public"},
      {{{"config.toml", ""}, {"content/a.md", ""}, {"index.html", ""}},
       "hugo",
       "config.toml",
       "hugo --minify",
       "public"},
      {{{"mkdocs.yml", ""}, {"nav.yml", ""}},
       "mkdocs",
       "mkdocs.yml",
       "mkdocs build --site-dir site",
       "site"},
      {{{"_config.yml", ""}, {"index.md", ""}},
       "jekyll",
       "_config.yml",
       "jekyll build --destination _site",
       "_site"},
  }));
  INFO(c.file);
  const auto plan = plan_of(c.files);
  CHECK(plan.runtime == "static");
  CHECK(plan.tool == c.tool);
  CHECK(plan.problem.empty());
  CHECK(plan.reasons.front() == "Detected static site (" + c.file + ").");
  CHECK(step_names(plan) == "build");
  CHECK(command_of(plan, "build") == c.command);
  CHECK(gives_reason(plan, "Build: " + c.command + " (" + c.file + ")."));
  CHECK(run_of(plan) == "/usr/lib/karreg/serve-static /app/" + c.served);
  // A build of the owner's own makes the same folder; CC_WEBROOT says another.
  const auto own = plan_of(c.files, {{"CC_BUILD_COMMAND", "./make.sh"}});
  CHECK(command_of(own, "build") == "./make.sh");
  CHECK(run_of(own) == run_of(plan));
  CHECK(run_of(plan_of(c.files, {{"CC_WEBROOT", "/out"}})) ==
        "/usr/lib/karreg/serve-static /app/out");
}

TEST_CASE("static: settings of a generator without its pages are nothing") {
  for (const char* file : {"hugo.toml", "config.toml", "config.json"})
    CHECK(refusal_of({{file, ""}}).starts_with("No known way to build this was found"));
  CHECK(plan_of({{"config.json", "{}"}, {"index.html", ""}}).steps.empty());
}

TEST_CASE("static: a book of mdBook is served when it was committed; the image cannot make it") {
  CHECK(plan_of({{"book.toml", ""}, {"src/SUMMARY.md", ""}}).problem ==
        "mdBook is not in the image that builds static sites. Commit the folder book that it "
        "makes, or set CC_WEBROOT to where it is.");
  const auto plan = plan_of({{"book.toml", ""}, {"book/index.html", ""}});
  CHECK(plan.problem.empty());
  CHECK(plan.steps.empty());
  CHECK(run_of(plan) == "/usr/lib/karreg/serve-static /app/book");
  CHECK(run_of(plan_of({{"book.toml", ""}, {"docs/index.html", ""}}, {{"CC_WEBROOT", "docs"}})) ==
        "/usr/lib/karreg/serve-static /app/docs");
}

TEST_CASE("static: a Staticfile names the folder, unless CC_WEBROOT does") {
  struct Case {
    std::string text, served;
  };
  const auto c = GENERATE(values<Case>({
      {"root: pages\n", "/app/pages"},
      {"# ours\nroot: ./pages/ # built by hand\n", "/app/pages"},
      {"pushstate: enabled\r\nroot: \"pages\"\r\n", "/app/pages"},
      {"root: 'pages'", "/app/pages"},
      {"root: .\n", "/app"},
      {"root:\n", "/app"},
      {"", "/app"},
  }));
  INFO(c.text);
  const Files files = {{"Staticfile", c.text}, {"pages/a.html", ""}, {"other/a.html", ""}};
  const auto plan = plan_of(files);
  CHECK(plan.reasons.front() == "Detected static site (Staticfile).");
  CHECK(run_of(plan) == "/usr/lib/karreg/serve-static " + c.served);
  CHECK(run_of(plan_of(files, {{"CC_WEBROOT", "other"}})) ==
        "/usr/lib/karreg/serve-static /app/other");
}

TEST_CASE("static: a Staticfile whose folder is not there, or is outside, is refused") {
  for (const char* root : {"nope", "../etc", "\"", "a/../b"})
    CHECK(
        refusal_of({{"Staticfile", "root: " + std::string(root) + "\n"}, {"a/b", ""}})
            .starts_with("root of Staticfile=" + std::string(root) + ": there is no such folder"));
  for (const std::string& bytes : {std::string("\xff"), std::string("a\0b", 3)})
    CHECK(refusal_of({{"Staticfile", "root: " + bytes + "\n"}, {bytes + "/x", ""}}) ==
          "root of Staticfile is not UTF-8 text.");
  CHECK(run_of(plan_of({{"Staticfile", "root: out\n"}, {"hugo.toml", ""}, {"content/a.md", ""}})) ==
        "/usr/lib/karreg/serve-static /app/out");
}

TEST_CASE("static: sites that other languages make are theirs") {
  CHECK(plan_of({{"_config.yml", ""}, {"Gemfile", "gem 'jekyll'\n"}}).build_runtime == "ruby");
  CHECK(plan_of({{"index.html", ""},
                 {"package.json",
                  R"({"scripts":{"build":"vite build"},"devDependencies":{"vite":"5"}})"}})
            .build_runtime == "node");
  CHECK(plan_of({{"index.html", ""}, {"app.py", ""}}).runtime == "python");
  CHECK(plan_of({{"index.html", ""}, {"Dockerfile", ""}}).runtime == "static");
}

TEST_CASE("static: MkDocs with plugins is built on Python") {
  const auto plan = plan_of({{"mkdocs.yml", ""}, {"requirements.txt", "mkdocs-material==9.5\n"}});
  CHECK(plan.runtime == "static");
  CHECK(plan.build_runtime == "python");
  CHECK(step_names(plan) == "install|build");
  CHECK(command_of(plan, "install").ends_with("install --no-input mkdocs -r requirements.txt"));
  CHECK(command_of(plan, "build") == "/tmp/karreg-tools/bin/mkdocs build --site-dir site");
  CHECK(gives_reason(plan, "Install: pip, only for the build (requirements.txt)."));
  CHECK(run_of(plan) == "/usr/lib/karreg/serve-static /app/site");
  const auto docs = plan_of({{"mkdocs.yml", ""},
                             {"docs/requirements.txt", "mkdocs-material"},
                             {"requirements.txt", "mkdocs"}});
  CHECK(command_of(docs, "install").ends_with(" -r docs/requirements.txt"));
  // The manual of an app that was not understood is not the app.
  CHECK(refusal_of({{"mkdocs.yml", ""}, {"requirements.txt", "flask\n"}})
            .starts_with("Nothing says how to start this app"));
  CHECK(plan_of({{"mkdocs.yml", ""}, {"requirements.txt", "mkdocs\n"}, {"app.py", ""}}).runtime ==
        "python");
}

TEST_CASE("static: the tools of a Hugo site do not make it an app of their language") {
  const Files site = {{"hugo.toml", ""}, {"content/a.md", ""}};
  for (const auto& [file, text] : Files{{"package.json", R"({"devDependencies":{"postcss":"8"}})"},
                                        {"go.mod", "module example.com/site\n\ngo 1.22\n"},
                                        {"Makefile", "run:\n\thugo serve\n"},
                                        {"Dockerfile", ""}}) {
    INFO(file);
    Files files = site;
    files[file] = text;
    CHECK(plan_of(files).tool == "hugo");
  }
}
