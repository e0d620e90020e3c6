#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {

/// A mix.exs whose project has @p more lines.
std::string mix(const std::string& more = "") {
  return "defmodule Shop.MixProject do\n  use Mix.Project\n  def project do\n    [app: :shop, "
         "version: \"0.1.0\",\n" +
         more + "    ]\n  end\nend\n";
}

const std::string phoenix = mix("deps: [{:phoenix, \"~> 1.8\"}],\n");
const std::string with_assets =
    mix("deps: [{:phoenix, \"~> 1.8\"}],\n"
        "aliases: [\"assets.deploy\": [\"esbuild shop --minify\", \"phx.digest\"]],\n");

}  // namespace

TEST_CASE("elixir: Mix fetches and compiles what production needs") {
  const auto plan = plan_of({{"mix.exs", mix()}, {"mix.lock", "%{}"}, {"lib/shop.ex", ""}});
  CHECK(plan.runtime == "elixir");
  CHECK(plan.tool == "mix");
  CHECK(step_names(plan) == "install|build");
  CHECK(command_of(plan, "install") ==
        "export HEX_HOME=/cache/hex\n"
        "mix local.hex --force --if-missing\n"
        "mix local.rebar --force --if-missing\n"
        "mix deps.get --only prod");
  CHECK(command_of(plan, "build") == "mix compile");
  CHECK(plan.env == Env{{"MIX_ENV", "prod"}, {"MIX_HOME", "/app/.mix"}, {"PHX_SERVER", "true"}});
  CHECK(run_of(plan) == "/usr/bin/mix run --no-halt");
  CHECK(plan.reasons.front() == "Detected Elixir (mix.exs).");
  CHECK(gives_reason(plan, "Install: mix deps.get (mix.lock)."));
  CHECK(gives_reason(plan, "Build: mix compile."));
  CHECK(plan.problem.empty());
}

TEST_CASE("elixir: a missing mix.lock is told") {
  CHECK(gives_reason(plan_of({{"mix.exs", mix()}}),
                     "Install: mix deps.get (no mix.lock; commit one to pin the versions)."));
}

TEST_CASE("elixir: how it starts") {
  struct Case {
    std::string name, manifest;
    Env env;
    std::string run;
  };
  const auto c = GENERATE(values<Case>({
      {"Phoenix", phoenix, {}, "/usr/bin/mix phx.server"},
      {"a library of Phoenix's family is not Phoenix",
       mix("deps: [{:phoenix_pubsub, \"~> 2.1\"}],\n"),
       {},
       "/usr/bin/mix run --no-halt"},
      {"CC_PHOENIX_SERVER_GOAL",
       phoenix,
       {{"CC_PHOENIX_SERVER_GOAL", "shop.serve --port 8080"}},
       "/bin/sh -c exec mix shop.serve --port 8080"},
      {"CC_RUN_COMMAND",
       phoenix,
       {{"CC_RUN_COMMAND", "_build/prod/rel/shop/bin/shop start"}},
       "/bin/sh -c exec _build/prod/rel/shop/bin/shop start"},
  }));
  INFO(c.name);
  CHECK(run_of(plan_of({{"mix.exs", c.manifest}}, c.env)) == c.run);
}

TEST_CASE("elixir: the goal of the build can be another one") {
  const auto plan =
      plan_of({{"mix.exs", phoenix}, {"karreg.toml", "[elixir]\nbuild-goal='release'\n"}});
  CHECK(command_of(plan, "build") == "mix release");
  CHECK(gives_reason(plan, "Build: mix release (elixir.build-goal of karreg.toml)."));
}

TEST_CASE("elixir: the assets of Phoenix") {
  struct Case {
    std::string name;
    Files files;
    std::string command;
  };
  const std::string fetch = "npm install --global --prefix /tmp/karreg-tools --no-audit --no-fund ";
  const auto c = GENERATE_COPY(values<Case>({
      {"by mix alone", {{"mix.exs", with_assets}}, "mix assets.deploy"},
      {"with packages of npm",
       {{"mix.exs", with_assets}, {"assets/package.json", "{}"}},
       "(cd assets && npm install --include=dev --no-audit --no-fund)\nmix assets.deploy\n"
       "rm -rf assets/node_modules"},
      {"with a lock file",
       {{"mix.exs", with_assets},
        {"assets/package.json", "{}"},
        {"assets/package-lock.json", "{}"}},
       "(cd assets && npm ci --include=dev --no-audit --no-fund)\nmix assets.deploy\n"
       "rm -rf assets/node_modules"},
      {"with that of another package manager",
       {{"mix.exs", with_assets}, {"assets/package.json", "{}"}, {"assets/yarn.lock", ""}},
       fetch + "yarn@1.22.22\n(cd assets && /tmp/karreg-tools/bin/yarn install --frozen-lockfile "
               "--production=false --non-interactive)\nmix assets.deploy\n"
               "rm -rf assets/node_modules"},
      {"by a package.json in the root",
       {{"mix.exs", phoenix}, {"package.json", R"({"scripts":{"build":"vite build"}})"}},
       "npm install --include=dev --no-audit --no-fund\nnpm run build\nrm -rf node_modules"},
  }));
  INFO(c.name);
  const auto plan = plan_of(c.files, {{"CC_BUILD_COMMAND", "mix sitemap"}});
  CHECK(plan.runtime == "elixir");
  REQUIRE(step_names(plan) == "install|build|assets|build");
  CHECK(command_of(plan, "assets") == c.command);
  CHECK(plan.steps.back().command == "mix sitemap");
}

TEST_CASE("elixir: the version") {
  struct Case {
    std::string name, manifest, tools;
    Env env;
    std::string reason;
  };
  const auto c = GENERATE(values<Case>({
      {"no wish", mix(), "", {}, "Version: Elixir 1.18."},
      {"mix.exs",
       mix("elixir: \"~> 1.14\",\n"),
       "",
       {},
       "Version: Elixir 1.18 (elixir of mix.exs asks for ~> 1.14)."},
      {"the words of Elixir",
       mix("elixir: \"~> 1.12.0 or ~> 1.13.0 or >= 1.16.0 and < 2.0.0\",\n"),
       "",
       {},
       "Version: Elixir 1.18 (elixir of mix.exs asks for ~> 1.12.0 || ~> 1.13.0 || >= 1.16.0, < "
       "2.0.0)."},
      {".tool-versions",
       mix("elixir: \"~> 1.14\",\n"),
       "erlang 27.1\nelixir 1.18.3-otp-27\n",
       {},
       "Version: Elixir 1.18 (.tool-versions asks for 1.18.3)."},
      {"CC_ELIXIR_VERSION",
       mix("elixir: \"~> 1.10.0\",\n"),
       "",
       {{"CC_ELIXIR_VERSION", "1.18"}},
       "Version: Elixir 1.18 (CC_ELIXIR_VERSION asks for 1.18)."},
      {"a text that does not end", mix("elixir: \"~> 1.14\n"), "", {}, "Version: Elixir 1.18."},
  }));
  INFO(c.name);
  const auto plan = plan_of({{"mix.exs", c.manifest}, {".tool-versions", c.tools}}, c.env);
  CHECK(plan.problem.empty());
  CHECK(gives_reason(plan, c.reason));
}

TEST_CASE("elixir: a version that cannot be had is a problem with the way out") {
  CHECK(plan_of({{"mix.exs", mix("elixir: \"~> 1.10.0\",\n")}}).problem ==
        "elixir of mix.exs asks for Elixir ~> 1.10.0, which cannot be had here. There are: 1.18; "
        "CC_ELIXIR_VERSION chooses one of them.");
}

TEST_CASE("elixir: a mix.exs that Elixir could not read makes no trouble here") {
  const auto text =
      GENERATE(as<std::string>(), "", "elixir: \"", "{:phoenix", std::string(5, '\0'));
  CHECK(run_of(plan_of({{"mix.exs", text}})) == "/usr/bin/mix run --no-halt");
}

TEST_CASE("elixir: beside other languages") {
  struct Case {
    std::string name;
    Files files;
  };
  const auto c = GENERATE(values<Case>({
      {"tools of Node.js",
       {{"mix.exs", phoenix}, {"package.json", R"({"scripts":{"start":"x"}})"}}},
      {"a page", {{"mix.exs", phoenix}, {"index.html", ""}}},
      {"a Dockerfile", {{"mix.exs", phoenix}, {"Dockerfile", "FROM elixir\n"}}},
  }));
  INFO(c.name);
  CHECK(plan_of(c.files).runtime == "elixir");
}

TEST_CASE("elixir: bad input is refused with place and cure") {
  CHECK(refusal_of({{"mix.exs", std::string((1 << 20) + 1, ' ')}}) ==
        "mix.exs is larger than 1024 KiB");
  CHECK(refusal_of({{"mix.exs", with_assets}, {"assets/package.json", "{\n\"a\" 1}"}})
            .starts_with("assets/package.json, line 2, column 5: syntax error"));
  CHECK(refusal_of({{"README", ""}}, {}, "elixir")
            .starts_with("This app has the type elixir, but the root of the repository has no "
                         "mix.exs. There is: README."));
}
