#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {

const std::string start = "/bin/sh -c exec ";

/// A Rails app with @p gems, lines of a Gemfile.
Files rails(const std::string& gems, const Files& more = {}) {
  Files files = {{"Gemfile", "source 'https://rubygems.org'\ngem 'rails', '~> 8.0'\n" + gems},
                 {"Gemfile.lock", ""},
                 {"config.ru", "run Rails.application\n"},
                 {"config/application.rb", ""}};
  files.insert(more.begin(), more.end());
  return files;
}

}  // namespace

TEST_CASE("ruby: Bundler installs into vendor/bundle what production needs") {
  const auto plan = plan_of({{"Gemfile", "gem 'sinatra'\ngem 'puma'\n"},
                             {"Gemfile.lock", ""},
                             {"config.ru", "run Sinatra::Application\n"}});
  CHECK(plan.runtime == "ruby");
  CHECK(plan.tool == "bundler");
  CHECK(step_names(plan) == "install");
  CHECK(command_of(plan, "install") ==
        "export BUNDLE_USER_CACHE=/cache/bundle BUNDLE_GLOBAL_GEM_CACHE=true\n"
        "bundle install --jobs \"$(nproc)\"");
  CHECK(plan.env == Env{{"BUNDLE_DEPLOYMENT", "1"},
                        {"BUNDLE_PATH", "/app/vendor/bundle"},
                        {"BUNDLE_WITHOUT", "development:test"},
                        {"LANG", "C.UTF-8"},
                        {"RACK_ENV", "production"}});
  CHECK(run_of(plan) == start + "bundle exec puma --bind tcp://0.0.0.0:8080");
  CHECK(plan.reasons.front() == "Detected Ruby (Gemfile).");
  CHECK(gives_reason(plan, "Install: bundle install (Gemfile.lock)."));
}

TEST_CASE("ruby: without a lock file Bundler chooses, and the push says so") {
  const auto plan = plan_of({{"Gemfile", "gem 'sinatra'\n"}, {"app.rb", ""}});
  CHECK_FALSE(plan.env.contains("BUNDLE_DEPLOYMENT"));
  CHECK(gives_reason(plan,
                     "Install: bundle install (no Gemfile.lock; commit one to pin the versions)."));
}

TEST_CASE("ruby: a lone file runs without a build") {
  const auto plan = plan_of({{"app.rb", "puts 1\n"}});
  CHECK(plan.tool == "none");
  CHECK(plan.steps.empty());
  CHECK(run_of(plan) == start + "ruby app.rb");
}

TEST_CASE("ruby: how it starts") {
  struct Case {
    std::string name;
    Files files;
    std::string run;
  };
  const auto c = GENERATE(values<Case>({
      {"Rails with the settings of Puma",
       rails("gem \"puma\", \">= 5.0\"\n", {{"config/puma.rb", ""}}),
       "bundle exec puma -C config/puma.rb"},
      {"Rails without them", rails("gem 'puma'\n"),
       "bundle exec rails server --binding 0.0.0.0 --port 8080"},
      {"Rails with another server", rails("gem 'falcon'\n", {{"config/puma.rb", ""}}),
       "bundle exec rails server --binding 0.0.0.0 --port 8080"},
      {"config.ru under Puma with settings",
       {{"Gemfile", "gem('puma')\n"}, {"config.ru", ""}, {"config/puma.rb", ""}},
       "bundle exec puma -C config/puma.rb"},
      {"config.ru under rackup",
       {{"Gemfile", "gem 'rackup'\n# gem 'puma'\n"}, {"config.ru", ""}},
       "bundle exec rackup --host 0.0.0.0 --port 8080"},
      {"gems.rb is a Gemfile",
       {{"gems.rb", "gem 'puma'\n"}, {"config.ru", ""}},
       "bundle exec puma --bind tcp://0.0.0.0:8080"},
      {"gems of a group count",
       {{"Gemfile", "group :production do\n  gem 'puma'\nend\n"}, {"config.ru", ""}},
       "bundle exec puma --bind tcp://0.0.0.0:8080"},
      {"config.ru before app.rb",
       {{"Gemfile", "gem 'puma'\r\n"}, {"config.ru", ""}, {"app.rb", ""}},
       "bundle exec puma --bind tcp://0.0.0.0:8080"},
      {"app.rb before main.rb",
       {{"Gemfile", ""}, {"main.rb", ""}, {"app.rb", ""}},
       "bundle exec ruby app.rb"},
      {"main.rb", {{"main.rb", ""}, {"server.rb", ""}}, "ruby main.rb"},
      {"server.rb", {{"server.rb", ""}, {"index.rb", ""}}, "ruby server.rb"},
      {"index.rb", {{"index.rb", ""}}, "ruby index.rb"},
      {"a Procfile",
       {{"Gemfile", ""}, {"Procfile", "web: bundle exec thin start\n"}},
       "bundle exec thin start"},
  }));
  INFO(c.name);
  const auto plan = plan_of(c.files);
  CHECK(plan.runtime == "ruby");
  CHECK(run_of(plan) == start + c.run);
}

TEST_CASE("ruby: Rails runs in production, logs to the platform and serves its own files") {
  const auto plan = plan_of(rails("gem 'puma'\n"));
  CHECK(plan.env.at("RAILS_ENV") == "production");
  CHECK(plan.env.at("RAILS_LOG_TO_STDOUT") == "1");
  CHECK(plan.env.at("RAILS_SERVE_STATIC_FILES") == "1");
  CHECK(step_names(plan) == "install");
}

TEST_CASE("ruby: the gem rails alone makes no Rails app") {
  const auto plan = plan_of({{"Gemfile", "gem 'rails'\n"}, {"app.rb", ""}});
  CHECK_FALSE(plan.env.contains("RAILS_ENV"));
  CHECK(run_of(plan) == start + "bundle exec ruby app.rb");
}

TEST_CASE("ruby: what a Rails build runs, in its order") {
  const std::string package = R"({"scripts":{"build":"esbuild app/javascript/*.*"}})";
  const std::string precompile =
      "SECRET_KEY_BASE_DUMMY=1 SECRET_KEY_BASE=${SECRET_KEY_BASE:-build} "
      "bundle exec rake assets:precompile";
  const Files more = {{"app/assets/a.css", ""}, {"package.json", package}, {"yarn.lock", ""}};
  SECTION("the assets of package.json come before those of Rails, the goals of rake last") {
    const auto plan = plan_of(rails("", more), {{"CC_RAKEGOALS", "db:migrate,sitemap"},
                                                {"CC_BUILD_COMMAND", "bin/prepare"}});
    CHECK(step_names(plan) == "install|assets|build|precompile|rake");
    CHECK(command_of(plan, "precompile") == precompile);
    CHECK(command_of(plan, "rake") == "bundle exec rake db:migrate sitemap");
    CHECK(gives_reason(plan, "Build: rake assets:precompile (app/assets of Rails)."));
    CHECK(gives_reason(plan, "Build: rake db:migrate sitemap (CC_RAKEGOALS)."));
  }
  SECTION("a gem that builds package.json in assets:precompile gets its package manager") {
    const auto plan = plan_of(rails("gem 'jsbundling-rails'\n", more));
    CHECK(step_names(plan) == "install|precompile");
    CHECK(command_of(plan, "precompile") ==
          "npm install --global --prefix /tmp/karreg-tools --no-audit --no-fund yarn@1.22.22\n"
          "export PATH=/tmp/karreg-tools/bin:$PATH\n" +
              precompile + "\nrm -rf node_modules");
    CHECK(gives_reason(plan, "Build: rake assets:precompile (it builds package.json, too)."));
  }
  SECTION("a release of Yarn in the repository is started by the first Yarn") {
    const auto plan = plan_of(
        rails("gem 'shakapacker'\n", {{"package.json", "{}"},
                                      {".yarnrc.yml", "yarnPath: .yarn/releases/yarn-4.cjs\n"},
                                      {".yarn/releases/yarn-4.cjs", ""},
                                      {"yarn.lock", "__metadata:\n"}}));
    CHECK(command_of(plan, "precompile").find(" yarn@1.22.22\nexport PATH=") != std::string::npos);
  }
  SECTION("npm is there") {
    const auto plan = plan_of(rails("gem 'vite_rails'\n", {{"package.json", "{}"}}));
    CHECK(command_of(plan, "precompile") == precompile + "\nrm -rf node_modules");
  }
  SECTION("a gem that would build a package.json, and there is none") {
    const auto plan = plan_of(rails("gem 'cssbundling-rails'\n"));
    CHECK(command_of(plan, "precompile") == precompile);
  }
}

TEST_CASE("ruby: goals of rake in clevercloud/ruby.json, without a Gemfile") {
  const auto plan = plan_of({{"app.rb", ""},
                             {"Rakefile", ""},
                             {"clevercloud/ruby.json", R"({"deploy":{"rakegoals":["a","b"]}})"}});
  CHECK(command_of(plan, "rake") == "rake a b");
}

TEST_CASE("ruby: what a generator makes is served without Ruby") {
  struct Case {
    std::string gem, command, folder;
  };
  const auto c = GENERATE(values<Case>({
      {"jekyll", "jekyll build --destination _site", "_site"},
      {"github-pages", "jekyll build --destination _site", "_site"},
      {"middleman", "middleman build", "build"},
      {"nanoc", "nanoc compile", "output"},
  }));
  const Files files = {{"Gemfile", "gem \"" + c.gem + "\"\n"}, {"_config.yml", ""}};
  const auto plan = plan_of(files);
  CHECK(plan.runtime == "static");
  CHECK(plan.build_runtime == "ruby");
  CHECK(step_names(plan) == "install|build");
  CHECK(command_of(plan, "build") == "bundle exec " + c.command);
  CHECK(plan.output_root == "/app/" + c.folder);
  CHECK(run_of(plan) == "/usr/lib/karreg/serve-static /app");
  CHECK(gives_reason(plan, "Build: " + c.command + " (the gem " + c.gem + ")."));

  const auto own = plan_of(files, {{"CC_BUILD_COMMAND", "bin/site"}});
  CHECK(command_of(own, "build") == "bin/site");
  CHECK(own.runtime == "static");
  CHECK(own.output_root == "/app/" + c.folder);

  const auto served = plan_of(files, {{"CC_RUN_COMMAND", "bundle exec rackup"}});
  CHECK(served.runtime == "ruby");
  CHECK(served.output_root == "/app");
  CHECK(step_names(served) == "install");
}

TEST_CASE("ruby: a Rails app with a blog of Jekyll is no site") {
  const auto plan = plan_of(rails("gem 'jekyll'\n"));
  CHECK(plan.runtime == "ruby");
  CHECK(plan.env.at("RAILS_ENV") == "production");
}

TEST_CASE("ruby: the version") {
  struct Case {
    std::string name;
    Files files;
    Env env;
    std::string runtime, reason;
  };
  const auto c = GENERATE(values<Case>({
      {"the usual one", {}, {}, "ruby", "Version: Ruby 3.3."},
      {".ruby-version",
       {{".ruby-version", "ruby-3.1.4\n"}},
       {},
       "ruby-3.1",
       "Version: Ruby 3.1 (.ruby-version asks for 3.1.4)."},
      {"the Gemfile",
       {{"Gemfile", "ruby '~> 3.1.0'\n"}},
       {},
       "ruby-3.1",
       "Version: Ruby 3.1 (ruby of Gemfile asks for ~> 3.1.0)."},
      {"all conditions of the Gemfile",
       {{"Gemfile", "ruby(\">= 2.7\", '< 3.2', engine: \"ruby\")\n"}},
       {},
       "ruby-3.1",
       "Version: Ruby 3.1 (ruby of Gemfile asks for >= 2.7, < 3.2)."},
      {"a Gemfile that names another file",
       {{"Gemfile", "ruby file: \".tool-versions\"\n"}, {".tool-versions", "ruby 3.1.2\n"}},
       {},
       "ruby-3.1",
       "Version: Ruby 3.1 (.tool-versions asks for 3.1.2)."},
      {".ruby-version before the Gemfile",
       {{".ruby-version", "3.3.1"}, {"Gemfile", "ruby '3.1.2'\n"}},
       {},
       "ruby",
       "Version: Ruby 3.3 (.ruby-version asks for 3.3.1)."},
      {"the variable before all",
       {{".ruby-version", "3.3.1"}},
       {{"CC_RUBY_VERSION", "3.1"}},
       "ruby-3.1",
       "Version: Ruby 3.1 (CC_RUBY_VERSION asks for 3.1)."},
  }));
  INFO(c.name);
  Files files = c.files;
  files["app.rb"] = "";
  const auto plan = plan_of(files, c.env);
  CHECK(plan.problem.empty());
  CHECK(plan.runtime == c.runtime);
  CHECK(gives_reason(plan, c.reason));
}

TEST_CASE("ruby: a version that cannot be had is a problem with the way out") {
  struct Case {
    std::string asked, problem;
  };
  const auto c = GENERATE(values<Case>({
      {"2.7.8",
       ".ruby-version asks for Ruby 2.7.8, which cannot be had here. There are: 3.3, 3.1; "
       "CC_RUBY_VERSION chooses one of them."},
      {"jruby-9.4",
       ".ruby-version asks for Ruby jruby-9.4: `jruby-9.4` is no range of versions. There are: "
       "3.3, 3.1; CC_RUBY_VERSION chooses one of them."},
  }));
  CHECK(plan_of({{"app.rb", ""}, {".ruby-version", c.asked}}).problem == c.problem);
}

TEST_CASE("ruby: a Gemfile that no Ruby could read makes no trouble here") {
  const auto text = GENERATE(as<std::string>(), "ruby '3.1\ngem 'x", "ruby(\ngem(", "\"", "ruby \n",
                             "ruby RUBY_VERSION\ngem NAME\n", std::string(3, '\0'));
  const auto plan = plan_of({{"Gemfile", text}, {"app.rb", ""}});
  CHECK(plan.problem.empty());
  CHECK(plan.runtime == "ruby");
}

TEST_CASE("ruby: beside other languages") {
  struct Case {
    std::string name;
    Files files;
    std::string runtime;
  };
  const auto c = GENERATE(values<Case>({
      {"tools of a Node.js app",
       {{"Gemfile", "gem 'fastlane'\n"},
        {"package.json", R"({"scripts":{"start":"node a.js"}})"},
        {"a.js", ""}},
       "node"},
      {"a Rails app with tools of Node.js",
       rails("gem 'puma'\n", {{"package.json", R"({"scripts":{"lint":"eslint ."}})"}}), "ruby"},
      {"app.rb beside index.html", {{"app.rb", ""}, {"index.html", ""}}, "ruby"},
  }));
  INFO(c.name);
  CHECK(plan_of(c.files).runtime == c.runtime);
}

TEST_CASE("ruby: bad input is refused with place and cure") {
  CHECK(refusal_of({{"Gemfile", "gem 'x'\n"}}, {}, "ruby") ==
        "Nothing says how to start this app: there is no Procfile, config.ru, app.rb, main.rb or "
        "server.rb. Add a Procfile with a line like `web: bundle exec ruby your_file.rb`, or set "
        "CC_RUN_COMMAND.");
  CHECK(refusal_of({{"config.ru", ""}}) ==
        "config.ru needs a server, and there is no Gemfile. Add a Gemfile with the gems rack and "
        "puma, or set CC_RUN_COMMAND.");
  CHECK(refusal_of(rails("gem 'jsbundling-rails'\n", {{"package.json", "{"}}), {}, "ruby")
            .starts_with("package.json, line 1, column 2: syntax error"));
  CHECK(refusal_of({{"README.md", ""}}, {}, "ruby")
            .starts_with("This app has the type ruby, but the root of the repository has no "
                         "Gemfile, config.ru, app.rb or main.rb."));
}
