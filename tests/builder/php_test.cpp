#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {

const std::string composer = "{\"require\": {}}";
const std::string serve = "/usr/lib/karreg/serve-php ";

}  // namespace

TEST_CASE("php: Composer installs what runs, and nginx serves the folder of index.php") {
  const auto plan = plan_of({{"composer.json", composer},
                             {"composer.lock", "{}"},
                             {"public/index.php", "<?php echo 1;"}});
  CHECK(plan.runtime == "php");
  CHECK(plan.tool == "composer");
  CHECK(step_names(plan) == "install");
  CHECK(command_of(plan, "install") ==
        "COMPOSER_CACHE_DIR=/cache/composer composer install --no-interaction --prefer-dist "
        "--optimize-autoloader --no-dev");
  CHECK(run_of(plan) == serve + "/app/public");
  CHECK(plan.reasons.front() == "Detected PHP (composer.json).");
  CHECK(gives_reason(plan, "Install: composer install (composer.lock)."));
  CHECK(gives_reason(plan, "Start: nginx and PHP-FPM on /app/public (public/index.php)."));
}

TEST_CASE("php: a missing composer.lock is told") {
  CHECK(gives_reason(plan_of({{"composer.json", composer}, {"index.php", ""}}),
                     "Install: composer install (no composer.lock; commit one to pin the "
                     "versions)."));
}

TEST_CASE("php: without composer.json nothing is built") {
  const auto plan = plan_of({{"index.php", "<?php echo 1;"}, {"style.css", ""}});
  CHECK(plan.tool == "none");
  CHECK(plan.steps.empty());
  CHECK(plan.reasons.front() == "Detected PHP (index.php).");
  CHECK(run_of(plan) == serve + "/app");
}

TEST_CASE("php: the folder that is served") {
  struct Case {
    std::string name;
    Files files;
    Env env;
    std::string folder;
  };
  const auto c = GENERATE(values<Case>({
      {"public/ before the root", {{"public/index.php", ""}, {"index.php", ""}}, {}, "/app/public"},
      {"web/", {{"web/index.php", ""}, {"composer.json", "{}"}}, {}, "/app/web"},
      {"the root before www/", {{"www/index.php", ""}, {"index.php", ""}}, {}, "/app"},
      {"htdocs/", {{"htdocs/index.php", ""}}, {}, "/app/htdocs"},
      {"html/", {{"html/index.php", ""}}, {}, "/app/html"},
      {"CC_WEBROOT wins",
       {{"public/index.php", ""}, {"site/a.php", ""}},
       {{"CC_WEBROOT", "/site/"}},
       "/app/site"},
      {"CC_WEBROOT is the root",
       {{"public/index.php", ""}, {"a.php", ""}},
       {{"CC_WEBROOT", "/"}},
       "/app"},
      {"CC_WEBROOT written with dots",
       {{"index.php", ""}, {"a/b/index.php", ""}},
       {{"CC_WEBROOT", "./a//b/."}},
       "/app/a/b"},
      {"CC_WEBROOT shows where index.php is",
       {{"site/index.php", ""}, {"index.html", ""}},
       {{"CC_WEBROOT", "/site"}},
       "/app/site"},
      {"Composer makes the folder, as Drupal's does",
       {{"composer.json", "{}"}},
       {{"CC_WEBROOT", "/web"}},
       "/app/web"},
      {"a build command makes the folder",
       {{"index.php", ""}},
       {{"CC_WEBROOT", "out"}, {"CC_BUILD_COMMAND", "make out"}},
       "/app/out"},
      {"run.webroot of karreg.toml",
       {{"karreg.toml", "[run]\nwebroot='/site'\n"}, {"index.php", ""}, {"site/a.php", ""}},
       {},
       "/app/site"},
      {"deploy.webroot of clevercloud/php.json",
       {{"clevercloud/php.json", R"({"deploy":{"webroot":"/site"}})"},
        {"index.php", ""},
        {"site/a.php", ""}},
       {},
       "/app/site"},
  }));
  INFO(c.name);
  const auto plan = plan_of(c.files, c.env);
  CHECK(plan.runtime == "php");
  CHECK(run_of(plan) == serve + c.folder);
}

TEST_CASE("php: development dependencies are installed when asked for") {
  const Files files = {{"composer.json", composer}, {"index.php", ""}};
  const auto install = [&](const std::string& said) {
    return command_of(plan_of(files, {{"CC_PHP_DEV_DEPENDENCIES", said}}), "install");
  };
  CHECK(install("install").ends_with(" --optimize-autoloader"));
  CHECK(install("no").ends_with(" --no-dev"));
}

TEST_CASE("php: the version") {
  struct Case {
    std::string name, manifest;
    Env env;
    std::string runtime;
  };
  const auto c = GENERATE(values<Case>({
      {"the usual one where it is allowed", R"({"require":{"php":"^8.1"}})", {}, "php"},
      {"no wish", "{}", {}, "php"},
      {"alternatives with one bar", R"({"require":{"php":"^7.4|^8.0"}})", {}, "php"},
      {"Composer's ~8.2 goes up to 9", R"({"require":{"php":"~8.2"}})", {}, "php"},
      {"~8.2.0 stays", R"({"require":{"php":"~8.2.0"}})", {}, "php-8.2"},
      {"an upper limit", R"({"require":{"php":">=8.1 <8.4"}})", {}, "php-8.2"},
      {"the variable before the manifest",
       R"({"require":{"php":"^8.3"}})",
       {{"CC_PHP_VERSION", "8.2"}},
       "php-8.2"},
  }));
  INFO(c.name);
  const auto plan = plan_of({{"composer.json", c.manifest}, {"index.php", ""}}, c.env);
  CHECK(plan.runtime == c.runtime);
  CHECK(plan.problem.empty());
}

TEST_CASE("php: a version that nobody has is a problem with those that there are") {
  CHECK(plan_of({{"composer.json", R"({"require":{"php":"^7.4"}})"}, {"index.php", ""}}).problem ==
        "require.php of composer.json asks for PHP ^7.4, which cannot be had here. There are: 8.4, "
        "8.2; CC_PHP_VERSION chooses one of them.");
}

TEST_CASE("php: the assets of a package.json are built before the owner's command") {
  const auto plan = plan_of({{"composer.json", composer},
                             {"public/index.php", ""},
                             {"package-lock.json", "{}"},
                             {"package.json", R"({"private": true,
                                "scripts": {"dev": "vite", "build": "vite build"},
                                "devDependencies": {"vite": "^6.0", "laravel-vite-plugin": "1"}})"}},
                            {{"CC_BUILD_COMMAND", "php artisan view:cache"}});
  CHECK(plan.runtime == "php");
  CHECK(step_names(plan) == "install|assets|build");
  CHECK(command_of(plan, "assets") ==
        "npm ci --include=dev --no-audit --no-fund\nnpm run build\nrm -rf node_modules");
  CHECK(gives_reason(plan, "Assets: vite build (scripts.build of package.json)."));
  CHECK(gives_reason(plan, "Build: php artisan view:cache (CC_BUILD_COMMAND)."));
}

TEST_CASE("assets: other package managers are fetched for the build alone") {
  struct Case {
    std::string name, lock, text, command;
  };
  const std::string fetch = "npm install --global --prefix /tmp/karreg-tools --no-audit --no-fund ";
  const auto c = GENERATE_COPY(values<Case>({
      {"pnpm", "pnpm-lock.yaml", "lockfileVersion: '9.0'\n",
       fetch + "pnpm@9\n/tmp/karreg-tools/bin/pnpm install --frozen-lockfile --prod=false "
               "--store-dir=/cache/pnpm\n/tmp/karreg-tools/bin/pnpm run build"},
      {"yarn", "yarn.lock", "# yarn lockfile v1\n",
       fetch + "yarn@1.22.22\n/tmp/karreg-tools/bin/yarn install --frozen-lockfile "
               "--production=false --non-interactive\n/tmp/karreg-tools/bin/yarn run build"},
      {"bun", "bun.lock", "{}",
       fetch + "bun@1\n/tmp/karreg-tools/bin/bun install --frozen-lockfile\n"
               "/tmp/karreg-tools/bin/bun run build"},
  }));
  INFO(c.name);
  const auto plan = plan_of(
      {{"index.php", ""}, {c.lock, c.text}, {"package.json", R"({"scripts":{"build":"x"}})"}});
  CHECK(plan.runtime == "php");
  CHECK(command_of(plan, "assets") == c.command + "\nrm -rf node_modules");
}

TEST_CASE("assets: a package.json without a build is left alone") {
  const auto plan =
      plan_of({{"index.php", ""}, {"package.json", R"({"scripts":{"test":"jest"}})"}});
  CHECK(step_names(plan).empty());
}

TEST_CASE("php: beside other languages") {
  struct Case {
    std::string name;
    Files files;
    std::string runtime;
  };
  const auto c = GENERATE(values<Case>({
      {"index.html beside index.php", {{"index.html", ""}, {"index.php", ""}}, "php"},
      {"a Node.js app whose tools come from Composer",
       {{"composer.json", "{}"},
        {"package.json", R"({"scripts":{"start":"node a.js"}})"},
        {"a.js", ""}},
       "node"},
      {"a Python app with a composer.json of tools",
       {{"composer.json", "{}"}, {"requirements.txt", "flask\n"}, {"app.py", ""}},
       "python"},
  }));
  INFO(c.name);
  CHECK(plan_of(c.files).runtime == c.runtime);
}

TEST_CASE("php: a start command needs no folder") {
  const auto plan = plan_of({{"composer.json", composer}}, {{"CC_RUN_COMMAND", "php worker.php"}});
  CHECK(plan.runtime == "php");
  CHECK(run_of(plan) == "/bin/sh -c exec php worker.php");
}

TEST_CASE("php: bad input is refused with place and cure") {
  struct Case {
    std::string name;
    Files files;
    Env env;
    std::string message;
  };
  const std::string no_folder =
      ": there is no such folder in the app. Give a folder of the repository, for example "
      "CC_WEBROOT=/public.";
  const auto c = GENERATE_COPY(values<Case>({
      {"nothing to serve",
       {{"composer.json", "{}"}},
       {},
       "Nothing says what this app serves: there is no index.php in the root, in public/ or in "
       "web/. Set CC_WEBROOT to its folder, or CC_RUN_COMMAND to start something else."},
      {"a list",
       {{"composer.json", "[]"}},
       {},
       "composer.json: expected a JSON object, found "
       "array."},
      {"require is a list",
       {{"composer.json", R"({"require":[]})"}, {"index.php", ""}},
       {},
       "composer.json: `require` must be an object."},
      {"the version is a number",
       {{"composer.json", R"({"require":{"php":8}})"}, {"index.php", ""}},
       {},
       "composer.json: `require.php` must be text."},
      {"a number that is too large",
       {{"composer.json", R"({"x":1e999})"}, {"index.php", ""}},
       {},
       "composer.json, number overflow parsing '1e999'"},
      {"a folder that does not exist",
       {{"index.php", ""}},
       {{"CC_WEBROOT", "/nope"}},
       "CC_WEBROOT=/nope" + no_folder},
      {"a folder that leaves the app",
       {{"composer.json", "{}"}, {"index.php", ""}},
       {{"CC_WEBROOT", "public/../../etc"}},
       "CC_WEBROOT=public/../../etc" + no_folder},
      {"a file is no folder",
       {{"index.php", ""}},
       {{"CC_WEBROOT", "index.php"}},
       "CC_WEBROOT=index.php" + no_folder},
  }));
  INFO(c.name);
  CHECK(refusal_of(c.files, c.env, "php") == c.message);
}

TEST_CASE("php: malformed JSON is refused with line and column") {
  CHECK(refusal_of({{"composer.json", "{\n  \"require\": {\n"}, {"index.php", ""}})
            .starts_with("composer.json, line 3, column 1: syntax error"));
  CHECK(refusal_of({{"index.php", ""}, {"package.json", "{\"scripts\":}"}})
            .starts_with("package.json, line 1, column 12: syntax error"));
}
