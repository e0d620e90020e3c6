// Elixir: mix.exs.
//   build    dependencies of production, `mix compile`, the assets of Phoenix when mix.exs has the
//            alias assets.deploy; CC_BUILD_COMMAND comes last.
//   start    CC_PHOENIX_SERVER_GOAL, else `mix phx.server` with Phoenix, else `mix run --no-halt`.
#include <array>

#include "builder/languages/assets.hpp"
#include "builder/languages/table.hpp"
#include "builder/manifest.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr std::array variables = {
    Variable{"CC_ELIXIR_VERSION", "versions.elixir", "the version of Elixir: `1.18`"},
    Variable{"CC_MIX_BUILD_GOAL", "elixir.build-goal", "the goal of mix in the place of `compile`"},
    Variable{"CC_PHOENIX_SERVER_GOAL", "elixir.server-goal",
             "the goal of mix that starts the app, in the place of `phx.server`"},
};

constexpr const char* manifest_name = "mix.exs";

/// @p requirement with the words of Elixir as the signs of other package managers.
std::string without_words(std::string requirement) {
  for (const auto& [word, sign] :
       {std::pair<std::string_view, std::string_view>{" or ", " || "}, {" and ", ", "}})
    for (auto at = requirement.find(word); at != std::string::npos; at = requirement.find(word))
      requirement.replace(at, word.size(), sign);
  return requirement;
}

/// "~> 1.14" of `elixir: "~> 1.14"`.
std::optional<VersionWish> version_wish(const SourceTree& tree, const std::string& manifest) {
  if (auto wish = tool_version(tree, {"elixir"})) {
    // "1.18.3-otp-27"
    wish->range = wish->range.substr(0, wish->range.find('-'));
    return wish;
  }
  constexpr std::string_view key = "elixir: \"";
  const auto at = manifest.find(key);
  if (at == std::string::npos) return std::nullopt;
  const auto begin = at + key.size();
  const auto end = manifest.find_first_of("\"\n", begin);
  if (end == std::string::npos || manifest[end] != '"') return std::nullopt;
  return VersionWish{without_words(manifest.substr(begin, end - begin)), "elixir of mix.exs"};
}

Result<LanguagePlan> plan(const Inspection& about) {
  auto manifest = about.tree.read(manifest_name, max_inspected_bytes);
  if (!manifest) return Error(ErrorKind::invalid, manifest.error().message());
  LanguagePlan result;
  result.tool = "mix";
  choose_version(result, about, "elixir", "Elixir", "CC_ELIXIR_VERSION",
                 version_wish(about.tree, *manifest));
  // Mix looks for Hex when the app starts, too.
  result.env = {{"MIX_ENV", "prod"}, {"MIX_HOME", "/app/.mix"}, {"PHX_SERVER", "true"}};
  result.step("install",
              "export HEX_HOME=/cache/hex\n"
              "mix local.hex --force --if-missing\n"
              "mix local.rebar --force --if-missing\n"
              "mix deps.get --only prod");
  result.reason(std::string("Install: mix deps.get (") +
                (about.tree.has_file("mix.lock") ? "mix.lock"
                                                 : "no mix.lock; commit one to pin the versions") +
                ").");
  const auto goal = about.settings.find("CC_MIX_BUILD_GOAL");
  const std::string build = goal ? goal->value : "compile";
  result.step("build", "mix " + build);
  result.reason("Build: mix " + build + (goal ? " (" + goal->origin + ")." : "."));
  if (manifest->find("\"assets.deploy\"") != std::string::npos) {
    // The bundler is a dependency of mix.exs; what it bundles may come from npm.
    auto install = node_install(about, "assets");
    if (!install) return install.error();
    result.step("assets", *install + "mix assets.deploy" +
                              (install->empty() ? "" : "\nrm -rf assets/node_modules"));
    result.reason("Assets: mix assets.deploy (mix.exs).");
  } else if (auto done = add_assets(result, about); !done) {
    return done.error();
  }
  add_build_command(result, about);
  if (const auto server = about.settings.find("CC_PHOENIX_SERVER_GOAL"))
    result.start = Start{shell_argv("mix " + server->value),
                         "mix " + server->value + " (" + server->origin + ")"};
  else if (manifest->find("{:phoenix,") != std::string::npos)
    result.start = Start{{"/usr/bin/mix", "phx.server"}, "mix phx.server (phoenix of mix.exs)"};
  else
    result.start = Start{{"/usr/bin/mix", "run", "--no-halt"}, "mix run --no-halt (mix.exs)"};
  return result;
}

std::optional<Match> detect(const Inspection& about) {
  if (about.tree.has_file(manifest_name)) return Match{manifest_name};
  return std::nullopt;
}

}  // namespace

Language elixir() {
  return {"elixir", "Elixir", manifest_name, variables, detect, plan};
}

}  // namespace karreg::builder::languages_of
