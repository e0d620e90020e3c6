#include "builder/languages/node/site.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "builder/manifest.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::node {
namespace {

struct Generator {
  const char* package;
  const char* folder;
  bool single_page;
  const char* build;  ///< its own command
  const char*
      config;  ///< its settings, with ".js", ".ts" ...; empty: it has none that move the folder
  const char* key;  ///< what names the folder there
};

/// In this order: several use vite.
constexpr std::array generators = {
    Generator{"@docusaurus/core", "build", false, "docusaurus build", "", ""},
    Generator{"gatsby", "public", false, "gatsby build", "", ""},
    Generator{"vitepress", ".vitepress/dist", false, "vitepress build", "", ""},
    Generator{"@11ty/eleventy", "_site", false, "eleventy", "", ""},
    Generator{"astro", "dist", false, "astro build", "astro.config", "outDir"},
    Generator{"@sveltejs/adapter-static", "build", true, "vite build", "", ""},
    Generator{"react-scripts", "build", true, "react-scripts build", "", ""},
    Generator{"@vue/cli-service", "dist", true, "vue-cli-service build", "vue.config", "outputDir"},
    Generator{"@angular/cli", "dist", true, "ng build", "", ""},
    Generator{"next", "out", false, "next build", "", ""},
    Generator{"nuxt", ".output/public", false, "nuxt generate", "", ""},
    Generator{"@react-router/dev", "build/client", true, "react-router build", "", ""},
    Generator{"vite", "dist", true, "vite build", "vite.config", "outDir"},
    Generator{"parcel", "dist", true, "parcel build", "", ""},
};

/// Who has one of these answers requests by a program of its own.
constexpr std::array servers = {
    "express",
    "fastify",
    "koa",
    "@hapi/hapi",
    "hono",
    "@nestjs/core",
    "@remix-run/node",
    "@remix-run/serve",
    "@react-router/node",
    "@react-router/serve",
    "@astrojs/node",
    "@sveltejs/adapter-node",
    "@sveltejs/adapter-auto",
    "nitropack",
    "vike",
};

/// Start scripts with these show a site to its developer; they are no servers for visitors.
constexpr std::array previews = {
    "vite",   "react-scripts", "ng",          "vue-cli-service",    "astro",
    "gatsby", "docusaurus",    "vitepress",   "eleventy",           "parcel",
    "serve",  "http-server",   "live-server", "webpack-dev-server", "webpack",
};

constexpr std::array endings = {".js", ".ts", ".mjs", ".cjs", ".mts", ".cts"};

std::optional<std::string> config_text(const SourceTree& tree, const std::string& stem) {
  for (const char* ending : endings)
    if (const std::string file = stem + ending; tree.has_file(file))
      if (auto text = tree.read(file, max_inspected_bytes)) return std::move(*text);
  return std::nullopt;
}

/// "public" of `outDir: 'public'` in @p text; empty: it is not there, or is computed.
std::string text_after(const std::string& text, std::string_view key) {
  const auto at = text.find(key);
  if (at == std::string::npos) return "";
  auto begin = text.find_first_not_of(" \t:=", at + key.size());
  if (begin == std::string::npos || (text[begin] != '\'' && text[begin] != '"')) return "";
  const auto end = text.find(text[begin], begin + 1);
  return end == std::string::npos ? "" : text.substr(begin + 1, end - begin - 1);
}

bool says(const std::optional<std::string>& text, std::string_view key, std::string_view value) {
  if (!text) return false;
  const auto at = text->find(key);
  if (at == std::string::npos) return false;
  const auto begin = text->find_first_not_of(" \t:='\"", at + key.size());
  return begin != std::string::npos && std::string_view(*text).substr(begin).starts_with(value);
}

/// dist/shop/browser: Angular names the folder after its project.
std::string angular_folder(const SourceTree& tree) {
  auto settings = read_json_object(tree, "angular.json");
  if (!settings) return "dist";
  try {
    const auto& projects = settings->at("projects");
    const auto first = projects.begin();
    if (first == projects.end()) return "dist";
    const std::string& name = first.key();
    const auto& build = first->at("architect").at("build");
    const std::string builder = build.at("builder").get<std::string>();
    std::string folder = "dist/" + name;
    if (const auto& options = build.at("options"); options.contains("outputPath")) {
      const auto& path = options.at("outputPath");
      folder = path.is_string() ? path.get<std::string>() : path.at("base").get<std::string>();
    }
    return builder.ends_with(":application") ? folder + "/browser" : folder;
  } catch (const nlohmann::json::exception&) {
    return "dist";
  }
}

/// Whether @p generator makes files alone here: some of them serve, too, unless told not to.
bool is_static(const SourceTree& tree, const Package& package, std::string_view generator) {
  if (generator == "next") return says(config_text(tree, "next.config"), "output", "export");
  if (generator == "nuxt") return package.script("build").find("generate") != std::string::npos;
  if (generator == "@react-router/dev")
    return says(config_text(tree, "react-router.config"), "ssr", "false");
  if (generator == "astro") return !says(config_text(tree, "astro.config"), "output", "server");
  return true;
}

std::string folder_of(const SourceTree& tree, const Package& package, const Generator& generator) {
  if (std::string_view(generator.package) == "@angular/cli") return angular_folder(tree);
  for (const std::string_view flag : {"--outDir ", "--outDir=", "--dist-dir "})
    if (const auto at = package.script("build").find(flag); at != std::string::npos) {
      const std::string rest = package.script("build").substr(at + flag.size());
      return rest.substr(0, rest.find_first_of(" \t&;"));
    }
  if (*generator.config != '\0')
    if (const auto text = config_text(tree, generator.config))
      if (std::string said = text_after(*text, generator.key); !said.empty()) return said;
  if (std::string_view(generator.package) == "vitepress")
    for (const char* source : {"docs", "doc", "src"})
      if (tree.has_folder(std::string(source) + "/.vitepress"))
        return std::string(source) + "/" + generator.folder;
  return generator.folder;
}

bool only_previews(const std::string& start) {
  std::string word = start.substr(0, start.find_first_of(" \t"));
  if (word == "npx") {
    word = trimmed(std::string_view(start).substr(3));
    word = word.substr(0, word.find_first_of(" \t"));
  }
  return std::ranges::find(previews, word) != previews.end();
}

}  // namespace

std::optional<Site> site_of(const Inspection& about, const Package& package) {
  const std::string& start = package.script("start");
  if (!start.empty() && !only_previews(start)) return std::nullopt;
  for (const char* server : servers)
    if (package.needs(server)) return std::nullopt;
  for (const Generator& generator : generators) {
    if (!package.needs(generator.package)) continue;
    if (!is_static(about.tree, package, generator.package)) return std::nullopt;
    Site site;
    site.tool = generator.package;
    site.folder = folder_of(about.tree, package, generator);
    while (site.folder.starts_with("./")) site.folder.erase(0, 2);
    while (site.folder.ends_with("/")) site.folder.pop_back();
    site.usual = generator.folder;
    site.single_page = generator.single_page;
    site.build = std::string("npx ") + generator.build;
    return site;
  }
  return std::nullopt;
}

}  // namespace karreg::builder::node
