// Static site: an index.html decides, in the root or in one of the usual output folders, or the
// settings of a generator (Hugo, mdBook, MkDocs, Jekyll), or a Staticfile with a `root:`.
//   build    CC_BUILD_COMMAND, else the generator; MkDocs with the plugins of a requirements.txt.
//   start    karreg's own file server on CC_WEBROOT, the `root:` of the Staticfile, what the
//            generator makes, or the folder of index.html.
#include <algorithm>
#include <array>
#include <sstream>

#include "builder/languages/table.hpp"
#include "builder/shell_line.hpp"
#include "common/text.hpp"

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
  bool in_image = true;  ///< whether the image `static` has it
};
constexpr std::array generators = {
    Generator{"Hugo",
              {"hugo.toml", "hugo.yaml", "hugo.json", "config.toml", "config.yaml", "config.json"},
              "content",
              "hugo --minify",
              "public"},
    Generator{"mdBook", {"book.toml"}, "", "mdbook build --dest-dir book", "book", false},
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

/// The list of what MkDocs needs beside itself, themes and plugins; empty: there is none.
std::string requirements_of(const Source& source, const SourceTree& tree) {
  if (source.generator->name != std::string_view("MkDocs")) return "";
  for (const char* file : {"docs/requirements.txt", "requirements-docs.txt", "requirements.txt"})
    if (const auto text = tree.read(file, max_inspected_bytes);
        text && text->find("mkdocs") != std::string::npos)
      return file;
  return "";
}

/// Hugo's sites often have a package.json or a go.mod for their styles, and MkDocs' a list of
/// plugins. Jekyll's settings may be of Hexo, and a book or a manual is often not the app.
Evidence evidence_of(const Source& source, const SourceTree& tree) {
  return source.generator->name == std::string_view("Hugo") ||
                 !requirements_of(source, tree).empty()
             ? Evidence::sources
             : Evidence::companion;
}

std::optional<std::string> folder_of_index(const SourceTree& tree) {
  for (const std::string_view folder : folders)
    if (tree.has_file(join_path(folder, "index.html"))) return std::string(folder);
  return std::nullopt;
}

/// The folder after `root:` in a Staticfile (YAML of one level); empty: it names none.
std::string staticfile_root(const SourceTree& tree) {
  const auto text = tree.read("Staticfile", max_inspected_bytes);
  if (!text) return "";
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("root:")) continue;
    std::string value = trimmed(line.substr(5, line.find(" #") - 5));
    if (value.size() > 1 && (value.front() == '"' || value.front() == '\'') &&
        value.back() == value.front())
      value = value.substr(1, value.size() - 2);
    return value;
  }
  return "";
}

/// The folder that is served, and who says so.
Result<Given> webroot(const Inspection& about, const std::optional<Source>& source, bool is_built) {
  auto given = about.settings.find("CC_WEBROOT");
  if (const std::string root = staticfile_root(about.tree); !given && !root.empty())
    given = Given{root, "root of Staticfile"};
  if (given) {
    if (!text::is_utf8(given->value) || given->value.find('\0') != std::string::npos)
      return Error(ErrorKind::invalid, given->origin + " is not UTF-8 text.");
    auto folder = folder_of_app(about, *given, is_built);
    if (!folder) return folder.error();
    return Given{std::move(*folder), given->origin};
  }
  if (source)
    return Given{source->generator->folder,
                 std::string("what ") + source->generator->name + " makes"};
  const std::string folder = folder_of_index(about.tree).value_or("");
  return Given{folder, about.tree.has_file(join_path(folder, "index.html"))
                           ? join_path(folder, "index.html")
                           : "the folder of the app"};
}

Result<LanguagePlan> plan(const Inspection& about) {
  LanguagePlan result;
  result.tool = "none";
  result.runtime = "static";
  const bool own_build = add_build_command(result, about);
  const auto source = generator_of(about.tree);
  auto folder = webroot(about, source, own_build || source);
  if (!folder) return folder.error();
  // What the image cannot make may have been committed.
  const bool is_there =
      source && !source->generator->in_image && about.tree.has_folder(folder->value);
  if (source && !own_build && !is_there) {
    const Generator& generator = *source->generator;
    result.tool = generator.name;
    std::ranges::transform(result.tool, result.tool.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
    std::string tools;
    if (const std::string list = requirements_of(*source, about.tree); !list.empty()) {
      LanguagePlan python;
      choose_version(python, about, "python", "Python", "", std::nullopt);
      result.build_runtime = python.runtime;
      result.problem = python.problem;
      result.step("install",
                  "python3 -m venv --without-pip /tmp/karreg-tools\n"
                  "pip3 --python /tmp/karreg-tools/bin/python install --no-input mkdocs -r " +
                      list);
      tools = "/tmp/karreg-tools/bin/";
      result.reason("Install: pip, only for the build (" + list + ").");
    }
    result.step("build", tools + generator.command);
    result.reason("Build: " + std::string(generator.command) + " (" + source->file + ").");
    if (!generator.in_image)
      result.problem = std::string(generator.name) +
                       " is not in the image that builds static sites. Commit the folder " +
                       generator.folder + " that it makes, or set CC_WEBROOT to where it is.";
  }
  const std::string served = "/" + join_path("app", folder->value);
  result.start =
      Start{{static_server, served}, "the file server on " + served + " (" + folder->origin + ")"};
  return result;
}

std::optional<Match> detect(const Inspection& about) {
  if (const auto source = generator_of(about.tree))
    return Match{source->file, evidence_of(*source, about.tree)};
  if (about.settings.find("CC_WEBROOT")) return Match{"CC_WEBROOT", Evidence::content};
  if (about.tree.has_file("Staticfile")) return Match{"Staticfile", Evidence::content};
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
