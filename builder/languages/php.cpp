// PHP: composer.json or an index.php, in the root or in public/ or web/.
//   install  `composer install` from composer.json; development dependencies stay away.
//   build    CC_BUILD_COMMAND; the assets of a package.json.
//   start    nginx and PHP-FPM on CC_WEBROOT, which the build may make, else on the folder of
//            index.php.
#include <algorithm>
#include <array>

#include "builder/languages/assets.hpp"
#include "builder/languages/table.hpp"
#include "builder/manifest.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr std::array variables = {
    Variable{"CC_PHP_VERSION", "versions.php", "the version of PHP: `8.4`, `8`"},
    Variable{"CC_WEBROOT", "run.webroot", "the folder of index.php: `/public`"},
    Variable{"CC_PHP_DEV_DEPENDENCIES", "php.dev-dependencies",
             "`install` installs Composer's require-dev, too"},
};

constexpr const char* manifest_name = "composer.json";
/// nginx and PHP-FPM; its only argument is the folder.
constexpr const char* server = "/usr/lib/karreg/serve-php";
constexpr std::array<std::string_view, 6> webroots = {"public", "web", "", "htdocs", "www", "html"};

std::optional<std::string> folder_of_index(const SourceTree& tree) {
  for (const std::string_view folder : webroots)
    if (tree.has_file(join_path(folder, "index.php"))) return std::string(folder);
  return std::nullopt;
}

/// Whether the build may make folders that the repository does not have.
bool is_built(const Inspection& about) {
  return about.tree.has_file(manifest_name) || about.build_command();
}

Result<Start> start_of(const Inspection& about) {
  std::string folder, reason;
  if (const auto given = about.settings.find("CC_WEBROOT")) {
    auto chosen = folder_of_app(about, *given, is_built(about));
    if (!chosen) return chosen.error();
    folder = std::move(*chosen);
    reason = given->origin;
  } else if (const auto found = folder_of_index(about.tree)) {
    folder = *found;
    reason = join_path(folder, "index.php");
  } else {
    return Error(ErrorKind::invalid,
                 "Nothing says what this app serves: there is no index.php in the root, in public/ "
                 "or in web/. Set CC_WEBROOT to its folder, or CC_RUN_COMMAND to start something "
                 "else.");
  }
  const std::string served = "/" + join_path("app", folder);
  return Start{{server, served}, "nginx and PHP-FPM on " + served + " (" + reason + ")"};
}

std::optional<Match> detect(const Inspection& about) {
  if (about.tree.has_file(manifest_name))
    return Match{manifest_name,
                 about.start || start_of(about) ? Evidence::manifest : Evidence::companion};
  if (const auto given = about.settings.find("CC_WEBROOT"))
    if (const auto folder = folder_of_app(about, *given, is_built(about))) {
      const std::string index = join_path(*folder, "index.php");
      if (about.tree.has_file(index)) return Match{index, Evidence::sources};
    }
  if (const auto folder = folder_of_index(about.tree))
    return Match{join_path(*folder, "index.php"), Evidence::sources};
  return std::nullopt;
}

Result<LanguagePlan> plan(const Inspection& about) {
  LanguagePlan result;
  result.tool = "none";
  std::optional<VersionWish> wish;
  bool installs = false;
  if (about.tree.has_file(manifest_name)) {
    auto manifest = read_json_object(about.tree, manifest_name);
    if (!manifest) return manifest.error();
    auto asked = text_at(*manifest, manifest_name, "require", "php");
    if (!asked) return asked.error();
    if (!asked->empty())
      wish = VersionWish{*asked, "require.php of composer.json", Tilde::next_major};
    installs = true;
  }
  choose_version(result, about, "php", "PHP", "CC_PHP_VERSION", wish);
  if (installs) {
    const auto development = about.settings.find("CC_PHP_DEV_DEPENDENCIES");
    const bool with_development = development && development->value == "install";
    result.tool = "composer";
    result.step("install",
                std::string("COMPOSER_CACHE_DIR=/cache/composer composer install --no-interaction "
                            "--prefer-dist --optimize-autoloader") +
                    (with_development ? "" : " --no-dev"));
    result.reason(std::string("Install: composer install (") +
                  (about.tree.has_file("composer.lock")
                       ? "composer.lock"
                       : "no composer.lock; commit one to pin the versions") +
                  ").");
  }
  if (auto done = add_assets(result, about); !done) return done.error();
  add_build_command(result, about);
  result.start = start_of(about);
  return result;
}

}  // namespace

Language php() {
  return {"php", "PHP", "composer.json or index.php", variables, detect, plan};
}

}  // namespace karreg::builder::languages_of
