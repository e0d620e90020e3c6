#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {

const std::string mojolicious = "use Mojolicious::Lite -signatures;\napp->start;\n";

}  // namespace

TEST_CASE("perl: cpanm installs what the manifest lists, and app.psgi runs under Starman") {
  const auto manifest = GENERATE(as<std::string>(), "cpanfile", "Makefile.PL", "Build.PL");
  const auto plan = plan_of({{manifest, ""}, {"app.psgi", "sub { [200, [], ['ok']] };\n"}});
  CHECK(plan.runtime == "perl");
  CHECK(plan.tool == "cpanm");
  CHECK(step_names(plan) == "install");
  CHECK(command_of(plan, "install") ==
        "PERL_CPANM_HOME=/cache/cpanm cpanm --notest --quiet --local-lib-contained /app/local "
        "--installdeps /app");
  CHECK(plan.env == Env{{"PERL5LIB", "/app/local/lib/perl5:/app/lib"},
                        {"PATH", "/app/local/bin:/usr/local/bin:/usr/bin:/bin"}});
  CHECK(run_of(plan) == "/usr/bin/starman --listen 0.0.0.0:8080 --workers 4 app.psgi");
  CHECK(plan.reasons.front() == "Detected Perl (" + manifest + ").");
  CHECK(gives_reason(plan, "Install: cpanm into /app/local (" + manifest + ")."));
  CHECK(plan.problem.empty());
}

TEST_CASE("perl: several manifests are installed once, and a snapshot that is not read is told") {
  const auto plan =
      plan_of({{"cpanfile", ""}, {"cpanfile.snapshot", ""}, {"Makefile.PL", ""}, {"app.pl", ""}});
  CHECK(step_names(plan) == "install");
  CHECK(gives_reason(plan, "Install: cpanm into /app/local (cpanfile)."));
  CHECK(gives_reason(
      plan,
      "cpanfile.snapshot is not read: cpanm takes the newest versions that cpanfile allows."));
}

TEST_CASE("perl: a lone program runs without a build") {
  const auto plan = plan_of({{"app.pl", "print 1;\n"}});
  CHECK(plan.tool == "none");
  CHECK(plan.steps.empty());
  CHECK(plan.env.empty());
  CHECK(plan.reasons.front() == "Detected Perl (app.pl).");
}

TEST_CASE("perl: how it starts") {
  struct Case {
    std::string name;
    Files files;
    std::string run;
  };
  const std::string daemon = " daemon --listen http://*:8080";
  const auto c = GENERATE_COPY(values<Case>({
      {"app.psgi before app.pl",
       {{"app.psgi", ""}, {"app.pl", ""}},
       "/usr/bin/starman --listen 0.0.0.0:8080 --workers 4 app.psgi"},
      {"bin/app.psgi",
       {{"bin/app.psgi", ""}},
       "/usr/bin/starman --listen 0.0.0.0:8080 --workers 4 bin/app.psgi"},
      {"app.pl before main.pl", {{"main.pl", ""}, {"app.pl", ""}}, "/usr/bin/perl app.pl"},
      {"main.pl", {{"main.pl", ""}, {"server.pl", ""}}, "/usr/bin/perl main.pl"},
      {"server.pl", {{"server.pl", ""}, {"index.pl", ""}}, "/usr/bin/perl server.pl"},
      {"index.pl", {{"index.pl", ""}}, "/usr/bin/perl index.pl"},
      {"a small Mojolicious app", {{"app.pl", mojolicious}}, "/usr/bin/perl app.pl" + daemon},
      {"a client of Mojolicious' family is no server",
       {{"app.pl", "use Mojo::UserAgent;\n"}},
       "/usr/bin/perl app.pl"},
      {"a full Mojolicious app, beside a tool",
       {{"script/build.sh", "#!/bin/sh\n"},
        {"script/shop", "#!/usr/bin/env perl\nuse Mojolicious::Commands;\n"},
        {"lib/Shop.pm", ""}},
       "/usr/bin/perl script/shop" + daemon},
      {"a Procfile",
       {{"cpanfile", ""}, {"Procfile", "web: twiggy --port 8080 x.psgi\n"}},
       "/bin/sh -c exec twiggy --port 8080 x.psgi"},
  }));
  INFO(c.name);
  const auto plan = plan_of(c.files);
  CHECK(plan.runtime == "perl");
  CHECK(run_of(plan) == c.run);
}

TEST_CASE("perl: Mojolicious runs in production, unless the app says otherwise") {
  CHECK(plan_of({{"app.pl", mojolicious}}).env.at("MOJO_MODE") == "production");
  CHECK(plan_of({{"app.pl", mojolicious}, {"karreg.toml", "[env]\nMOJO_MODE='development'\n"}})
            .env.at("MOJO_MODE") == "development");
}

TEST_CASE("perl: a build command comes after the dependencies") {
  const auto plan =
      plan_of({{"cpanfile", ""}, {"app.psgi", ""}}, {{"CC_BUILD_COMMAND", "perl build.pl"}});
  CHECK(step_names(plan) == "install|build");
  CHECK(command_of(plan, "build") == "perl build.pl");
}

TEST_CASE("perl: beside other languages") {
  struct Case {
    std::string name;
    Files files;
    std::string runtime;
  };
  const auto c = GENERATE(values<Case>({
      {"a tool in Perl beside a Node.js app",
       {{"cpanfile", ""}, {"package.json", R"({"scripts":{"start":"node a.js"}})"}, {"a.js", ""}},
       "node"},
      {"Makefile.PL beside a Makefile",
       {{"Makefile.PL", ""}, {"Makefile", "all:\n"}, {"x.c", ""}, {"app.psgi", ""}},
       "perl"},
      {"app.psgi beside index.html", {{"app.psgi", ""}, {"index.html", ""}}, "perl"},
      {"a script/ of another language",
       {{"script/setup", "#!/bin/sh\n"}, {"app.py", ""}},
       "python"},
  }));
  INFO(c.name);
  CHECK(plan_of(c.files).runtime == c.runtime);
}

TEST_CASE("perl: bad input is refused with the way out") {
  const std::string no_start =
      "Nothing says how to start this app: there is no Procfile, app.psgi, app.pl, main.pl or "
      "server.pl. Add a Procfile with a line like `web: perl your_file.pl`, or set CC_RUN_COMMAND.";
  CHECK(refusal_of({{"cpanfile", ""}}, {}, "perl") == no_start);
  CHECK(refusal_of({{"cpanfile", ""}, {"script/deploy", "#!/bin/sh\n"}}, {}, "perl") == no_start);
  CHECK(refusal_of({{"README", ""}}, {}, "perl")
            .starts_with("This app has the type perl, but the root of the repository has no "
                         "cpanfile, Makefile.PL, app.psgi or app.pl. There is: README."));
}
