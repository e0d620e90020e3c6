// Static site: an index.html decides, in the root or in one of the usual output folders, or the
// settings of a generator (Hugo, mdBook, MkDocs, Jekyll), or a Staticfile with a `root:`.
//   build    CC_BUILD_COMMAND, else the generator.
//   start    karreg's own file server on the folder of index.html, or on CC_WEBROOT.
#include <algorithm>
#include <array>

#include "builder/languages/table.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr std::array variables = {
    Variable{"CC_WEBROOT", "run.webroot", "the folder that is served: `/public`"},
};

constexpr std::array<std::string_view, 7> folders = {"",     "public", "dist", "build",
                                                     "site", "www",    "_site"};

/// A program that makes a site from sources, and the files by which it is known.
struct Generator {
  const char* name;
  std::array<const char*, 6> files;  ///< any of them
  const char* needs;                 ///< a folder that must be there, too; empty: none
  const char* command;
  const char* folder;
};
constexpr std::array generators = {
    Generator{"Hugo",
              {"hugo.toml", "hugo.yaml", "hugo.json", "config.toml", "config.yaml", "config.json"},
              "content",
              "hugo --minify",
              "public"},
    Generator{"mdBook", {"book.toml"}, "", "mdbook build --dest-dir book", "book"},
    Generator{"MkDocs", {"mkdocs.yml", "mkdocs.yaml"}, "", "mkdocs build --site-dir site", "site"},
    Generator{
        "Jekyll", {"_config.yml", "_config.yaml"}, "", "jekyll build --destination _site", "_site"},
};

struct Source {
  const Generator* generator;
  std::string file;
};

std::optional<Source> generator_of(const SourceTree& tree) {
  for (const Generator& each : generators) {
    if (*each.needs != '\0' && !tree.has_folder(each.needs)) continue;
    for (const char* file : each.files)
      if (file != nullptr && tree.has_file(file)) return Source{&each, file};
  }
  return std::nullopt;
}

std::optional<std::string> folder_of_index(const SourceTree& tree) {
  for (const std::string_view folder : folders)
    if (tree.has_file(join_path(folder, "index.html"))) return std::string(folder);
  return std::nullopt;
}

/// The folder after `root:` in a Staticfile; empty: it names none.
std::string staticfile_root(const SourceTree& tree) {
  const auto text = tree.read("Staticfile", max_inspected_bytes);
  if (!text) return "";
  std::string_view rest = *text;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.starts_with("root:")) return trimmed(line.substr(5));
  }
  return "";
}

Result<std::string> webroot(const Inspection& about, bool is_built, std::string& reason) {
  auto given = about.settings.find("CC_WEBROOT");
  if (const std::string root = staticfile_root(about.tree); !given && !root.empty())
    given = Given{root, "root of Staticfile"};
  if (given) {
    std::string folder = given->value;
    while (folder.starts_with("/") || folder.starts_with("./"))
      folder.erase(0, folder.starts_with("/") ? 1 : 2);
    while (folder.ends_with("/")) folder.pop_back();
    const bool leaves = ("/" + folder + "/").find("/../") != std::string::npos;
    if (leaves || (!is_built && !about.tree.has_folder(folder)))
      return Error(ErrorKind::invalid,
                   given->origin + "=" + given->value +
                       ": there is no such folder in the app. Give a folder of the repository, "
                       "for example CC_WEBROOT=/public.");
    reason = given->origin;
    return folder;
  }
  const std::string folder = folder_of_index(about.tree).value_or("");
  reason = join_path(folder, "index.html");
  return folder;
}

Result<LanguagePlan> plan(const Inspection& about) {
  LanguagePlan result;
  result.tool = "none";
  result.runtime = "static";
  const bool own_build = add_build_command(result, about);
  const auto source = own_build ? std::nullopt : generator_of(about.tree);
  std::string reason;
  auto folder = webroot(about, own_build || source, reason);
  if (!folder) return folder.error();
  if (source) {
    result.tool = source->generator->name;
    std::ranges::transform(result.tool, result.tool.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
    result.step("build", source->generator->command);
    result.reason("Build: " + std::string(source->generator->command) + " (" + source->file + ").");
    if (!about.settings.find("CC_WEBROOT")) {
      *folder = source->generator->folder;
      reason = std::string("what ") + source->generator->name + " makes";
    }
  }
  const std::string served = "/" + join_path("app", *folder);
  result.start =
      Start{{static_server, served}, "the file server on " + served + " (" + reason + ")"};
  return result;
}

std::optional<Match> detect(const Inspection& about) {
  if (about.settings.find("CC_WEBROOT")) return Match{"CC_WEBROOT", Evidence::content};
  if (about.tree.has_file("Staticfile")) return Match{"Staticfile", Evidence::content};
  if (const auto source = generator_of(about.tree)) return Match{source->file, Evidence::companion};
  if (auto folder = folder_of_index(about.tree))
    return Match{join_path(*folder, "index.html"), Evidence::content};
  return std::nullopt;
}

}  // namespace

Language static_site() {
  return {
      "static",  "static site", "index.html, also in public/, dist/, build/, site/, www/ or _site/",
      variables, detect,        plan};
}

}  // namespace karreg::builder::languages_of
