// Ruby: a Gemfile, or a config.ru.
//   install  Bundler into vendor/bundle, without the groups development and test.
//   build    the assets of a package.json; CC_BUILD_COMMAND; Rails' assets:precompile;
//            CC_RAKEGOALS.
//   start    Rails under Puma, config.ru under Puma or rackup, else app.rb, main.rb, server.rb.
//   site     what Jekyll, Middleman or Nanoc make is served by nginx, without Ruby;
//            CC_BUILD_COMMAND makes it in their place.
#include <algorithm>
#include <array>
#include <set>

#include "builder/languages/assets.hpp"
#include "builder/languages/table.hpp"
#include "builder/manifest.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr std::array variables = {
    Variable{"CC_RUBY_VERSION", "versions.ruby", "the version of Ruby: `3.3`, `~> 3.1`"},
    Variable{"CC_RAKEGOALS", "ruby.rake-goals",
             "goals of rake that the build runs, with commas between them"},
};

constexpr std::array<const char*, 4> script_files = {"app.rb", "main.rb", "server.rb", "index.rb"};

struct Generator {
  const char* gem;
  const char* command;
  const char* folder;
};
constexpr std::array generators = {
    Generator{"jekyll", "jekyll build --destination _site", "_site"},
    Generator{"github-pages", "jekyll build --destination _site", "_site"},
    Generator{"middleman", "middleman build", "build"},
    Generator{"nanoc", "nanoc compile", "output"},
};

/// Gems whose part of assets:precompile calls the package manager of package.json itself.
constexpr std::array<const char*, 6> bundling_gems = {
    "jsbundling-rails", "cssbundling-rails", "vite_rails", "vite_ruby", "shakapacker", "webpacker"};

const char* gemfile_of(const SourceTree& tree) {
  for (const char* name : {"Gemfile", "gems.rb"})
    if (tree.has_file(name)) return name;
  return nullptr;
}

/// The text between the first pair of quotes of @p line; empty: it has none.
std::string in_quotes(std::string_view line) {
  const auto begin = line.find_first_of("'\"");
  if (begin == std::string_view::npos) return "";
  const auto end = line.find(line[begin], begin + 1);
  return end == std::string_view::npos ? "" : std::string(line.substr(begin + 1, end - begin - 1));
}

/// ">= 3.1, < 3.4" of ` ">= 3.1", "< 3.4", engine: "ruby"`: the texts that come first.
std::string quoted_list(std::string_view line) {
  std::string list;
  for (;;) {
    const auto begin = line.find_first_of("'\"");
    if (begin == std::string_view::npos) return list;
    const std::string before = trimmed(line.substr(0, begin));
    if (list.empty() ? !before.empty() && before != "(" : before != ",") return list;
    const auto end = line.find(line[begin], begin + 1);
    if (end == std::string_view::npos) return list;
    list += (list.empty() ? "" : ", ") + std::string(line.substr(begin + 1, end - begin - 1));
    line.remove_prefix(end + 1);
  }
}

/// What a Gemfile says, read as text: it is a program, which only Ruby can run.
struct Gems {
  std::set<std::string> names;
  std::optional<VersionWish> wish;
  bool has(const char* name) const { return names.contains(name); }
};

Gems gems_of(const SourceTree& tree) {
  Gems gems;
  const char* file = gemfile_of(tree);
  if (file == nullptr) return gems;
  const auto text = tree.read(file, max_inspected_bytes);
  std::string_view rest = text ? std::string_view(*text) : std::string_view();
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const std::string line = trimmed(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.starts_with("gem ") || line.starts_with("gem(")) gems.names.insert(in_quotes(line));
    if (line.starts_with("ruby ") || line.starts_with("ruby("))
      if (const std::string asked = quoted_list(std::string_view(line).substr(4)); !asked.empty())
        gems.wish = VersionWish{asked, std::string("ruby of ") + file};
  }
  return gems;
}

std::optional<VersionWish> version_wish(const SourceTree& tree, const Gems& gems) {
  std::string line = first_line(tree, ".ruby-version");
  if (line.starts_with("ruby-")) line.erase(0, 5);
  if (!line.empty()) return VersionWish{line, ".ruby-version"};
  if (gems.wish) return gems.wish;
  return tool_version(tree, {"ruby"});
}

bool is_rails(const SourceTree& tree, const Gems& gems) {
  return (gems.has("rails") || gems.has("railties")) && tree.has_file("config/application.rb");
}

bool rake_calls_node(const Gems& gems) {
  return std::ranges::any_of(bundling_gems, [&](const char* gem) { return gems.has(gem); });
}

/// The generator whose site the app is; nothing when a server runs it.
const Generator* generator_of(const SourceTree& tree, const Gems& gems) {
  if (is_rails(tree, gems)) return nullptr;
  for (const Generator& each : generators)
    if (gems.has(each.gem)) return &each;
  return nullptr;
}

Result<Start> start_of(const SourceTree& tree, const Gems& gems) {
  const std::string prefix = gemfile_of(tree) == nullptr ? "" : "bundle exec ";
  const auto line = [&](const std::string& command, const std::string& why) {
    return Start{shell_argv(prefix + command), prefix + command + " (" + why + ")"};
  };
  if (is_rails(tree, gems)) {
    if (gems.has("puma") && tree.has_file("config/puma.rb"))
      return line("puma -C config/puma.rb", "Rails, config/puma.rb");
    return line("rails server --binding 0.0.0.0 --port 8080", "Rails");
  }
  if (tree.has_file("config.ru")) {
    if (gemfile_of(tree) == nullptr)
      return Error(ErrorKind::invalid,
                   "config.ru needs a server, and there is no Gemfile. Add a Gemfile with the gems "
                   "rack and puma, or set CC_RUN_COMMAND.");
    if (gems.has("puma"))
      return line(tree.has_file("config/puma.rb") ? "puma -C config/puma.rb"
                                                  : "puma --bind tcp://0.0.0.0:8080",
                  "config.ru");
    return line("rackup --host 0.0.0.0 --port 8080", "config.ru");
  }
  for (const char* file : script_files)
    if (tree.has_file(file)) return line(std::string("ruby ") + file, "the file is there");
  return Error(
      ErrorKind::invalid,
      "Nothing says how to start this app: there is no Procfile, config.ru, app.rb, main.rb "
      "or server.rb. Add a Procfile with a line like `web: bundle exec ruby your_file.rb`, "
      "or set CC_RUN_COMMAND.");
}

void add_site(LanguagePlan& plan, const Inspection& about, const Generator& generator) {
  if (!add_build_command(plan, about)) {
    plan.step("build", std::string("bundle exec ") + generator.command);
    plan.reason(std::string("Build: ") + generator.command + " (the gem " + generator.gem + ").");
  }
  plan.build_runtime = plan.runtime;
  plan.runtime = "static";
  plan.output_root = std::string("/app/") + generator.folder;
  plan.start = Start{{static_server, "/app"},
                     std::string("the file server on what ") + generator.gem + " makes (" +
                         generator.folder + ")"};
}

Result<LanguagePlan> plan(const Inspection& about) {
  const Gems gems = gems_of(about.tree);
  LanguagePlan result;
  result.tool = "none";
  choose_version(result, about, "ruby", "Ruby", "CC_RUBY_VERSION", version_wish(about.tree, gems));
  result.env = {{"RACK_ENV", "production"}, {"LANG", "C.UTF-8"}};
  const char* gemfile = gemfile_of(about.tree);
  if (gemfile != nullptr) {
    result.tool = "bundler";
    const bool locked = about.tree.has_file("Gemfile.lock") || about.tree.has_file("gems.locked");
    result.env["BUNDLE_PATH"] = "/app/vendor/bundle";
    result.env["BUNDLE_WITHOUT"] = "development:test";
    if (locked) result.env["BUNDLE_DEPLOYMENT"] = "1";
    result.step("install",
                "export BUNDLE_USER_CACHE=/cache/bundle BUNDLE_GLOBAL_GEM_CACHE=true\n"
                "bundle install --jobs \"$(nproc)\"");
    result.reason(std::string("Install: bundle install (") +
                  (locked ? "Gemfile.lock" : "no Gemfile.lock; commit one to pin the versions") +
                  ").");
  }
  const bool rails = is_rails(about.tree, gems);
  const bool rake_builds = rails && rake_calls_node(gems);
  if (!rake_builds)
    if (auto done = add_assets(result, about); !done) return done.error();
  if (const Generator* generator = generator_of(about.tree, gems);
      generator != nullptr && !about.start) {
    add_site(result, about, *generator);
    return result;
  }
  add_build_command(result, about);
  if (rails) {
    result.env["RAILS_ENV"] = "production";
    result.env["RAILS_LOG_TO_STDOUT"] = "1";
    result.env["RAILS_SERVE_STATIC_FILES"] = "1";
    if (rake_builds || about.tree.has_folder("app/assets")) {
      std::string command =
          "SECRET_KEY_BASE_DUMMY=1 SECRET_KEY_BASE=${SECRET_KEY_BASE:-build} "
          "bundle exec rake assets:precompile";
      if (rake_builds) {
        auto whole = with_node_tools(about, command);
        if (!whole) return whole.error();
        command = std::move(*whole);
      }
      result.step("precompile", std::move(command));
      result.reason(rake_builds ? "Build: rake assets:precompile (it builds package.json, too)."
                                : "Build: rake assets:precompile (app/assets of Rails).");
    }
  }
  if (const auto goals = about.settings.find("CC_RAKEGOALS")) {
    std::string words = goals->value;
    std::ranges::replace(words, ',', ' ');
    result.step("rake", (gemfile == nullptr ? "" : "bundle exec ") + ("rake " + words));
    result.reason("Build: rake " + words + " (" + goals->origin + ").");
  }
  result.start = start_of(about.tree, gems);
  return result;
}

std::optional<Match> detect(const Inspection& about) {
  const Gems gems = gems_of(about.tree);
  if (const char* gemfile = gemfile_of(about.tree))
    return Match{gemfile, about.start || generator_of(about.tree, gems) != nullptr ||
                                  start_of(about.tree, gems)
                              ? Evidence::manifest
                              : Evidence::companion};
  if (about.tree.has_file("config.ru")) return Match{"config.ru", Evidence::sources};
  for (const char* file : script_files)
    if (about.tree.has_file(file)) return Match{file, Evidence::sources};
  return std::nullopt;
}

}  // namespace

Language ruby() {
  return {"ruby", "Ruby", "Gemfile, config.ru, app.rb or main.rb", variables, detect, plan};
}

}  // namespace karreg::builder::languages_of
