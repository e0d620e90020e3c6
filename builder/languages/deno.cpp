// Deno: deno.json, deno.jsonc, or a main.ts and its like that imports what Deno alone knows.
//   install  what deno.json names (`deno install`), and what the started file imports, into
//            /app/.deno.
//   build    tasks.build; CC_BUILD_COMMAND replaces it.
//   start    tasks.start, else main.ts, server.ts ...: by `deno serve` when the file only exports a
//            handler. Deno.serve listens where the platform looks.
#include <algorithm>
#include <array>

#include "builder/languages/table.hpp"
#include "builder/manifest.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr std::array<const char*, 10> script_files = {
    "main.ts",     "server.ts",     "index.ts",     "mod.ts",  "app.ts",
    "src/main.ts", "src/server.ts", "src/index.ts", "main.js", "src/main.js"};

const char* manifest_of(const SourceTree& tree) {
  for (const char* file : {"deno.json", "deno.jsonc"})
    if (tree.has_file(file)) return file;
  return nullptr;
}

std::optional<std::string> script_of(const SourceTree& tree) {
  for (const char* file : script_files)
    if (tree.has_file(file)) return file;
  return std::nullopt;
}

/// JSON with comments may have a comma before a closing bracket; it becomes a blank, so that places
/// stay what they are.
std::string without_last_commas(std::string text) {
  std::size_t comma = std::string::npos;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i)
        if (text[i] == '\\') ++i;
    } else if (text.compare(i, 2, "//") == 0) {
      i = std::min(text.find('\n', i), text.size());
      continue;
    } else if (text.compare(i, 2, "/*") == 0) {
      const auto end = text.find("*/", i + 2);
      i = end == std::string::npos ? text.size() : end + 1;
      continue;
    } else if ((c == '}' || c == ']') && comma != std::string::npos) {
      text[comma] = ' ';
    }
    if (c == ',')
      comma = i;
    else if (trimmed(std::string_view(&c, 1)).size() == 1)
      comma = std::string::npos;
  }
  return text;
}

/// What the manifest says; nothing without one.
Result<nlohmann::json> manifest(const SourceTree& tree) {
  const char* file = manifest_of(tree);
  if (file == nullptr) return nlohmann::json::object();
  auto text = tree.read(file, max_inspected_bytes);
  if (!text) return Error(ErrorKind::invalid, text.error().message());
  return parse_json_object(without_last_commas(std::move(*text)), file, true);
}

/// The value of tasks.NAME: text, or an object with a `command`.
std::string task(const nlohmann::json& manifest, const char* name) {
  const auto tasks = manifest.find("tasks");
  if (tasks == manifest.end() || !tasks->is_object()) return "";
  const auto found = tasks->find(name);
  if (found == tasks->end()) return "";
  if (found->is_string()) return trimmed(found->get<std::string>());
  if (!found->is_object()) return "";
  const auto command = found->find("command");
  return command != found->end() && command->is_string() ? trimmed(command->get<std::string>())
                                                         : "";
}

/// Whether @p file leaves it to `deno serve` to start what it exports.
bool only_exports(const SourceTree& tree, const std::string& file) {
  const auto text = tree.read(file, max_inspected_bytes);
  if (!text || text->find("export default") == std::string::npos) return false;
  return text->find("serve(") == std::string::npos && text->find(".listen(") == std::string::npos;
}

Result<Start> start_of(const SourceTree& tree, const nlohmann::json& manifest) {
  if (const std::string line = task(manifest, "start"); !line.empty())
    return Start{{"/usr/bin/deno", "task", "start"},
                 line + " (tasks.start of " + manifest_of(tree) + ")"};
  if (const auto file = script_of(tree)) {
    if (only_exports(tree, *file))
      return Start{
          {"/usr/bin/deno", "serve", "--allow-all", "--host", "0.0.0.0", "--port", "8080", *file},
          "deno serve --allow-all " + *file +
              " (the file is there, and exports what it "
              "serves)"};
    return Start{{"/usr/bin/deno", "run", "--allow-all", *file},
                 "deno run --allow-all " + *file + " (the file is there)"};
  }
  return Error(ErrorKind::invalid,
               "Nothing says how to start this app: deno.json has no tasks.start, and there is no "
               "main.ts, server.ts or index.ts. Add one, or set CC_RUN_COMMAND.");
}

/// The files of the tree among the words of @p command, else the one that is started without one.
std::vector<std::string> started_files(const SourceTree& tree, std::string_view command) {
  std::vector<std::string> files;
  while (!command.empty()) {
    const auto blank = command.find_first_of(" \t\n;&|\"'");
    const auto path = path_inside(command.substr(0, blank));
    command.remove_prefix(blank == std::string_view::npos ? command.size() : blank + 1);
    if (!path) continue;
    for (const char* ending : {".ts", ".tsx", ".mts", ".js", ".jsx", ".mjs"})
      if (path->ends_with(ending) && tree.has_file(*path)) files.push_back(*path);
  }
  if (files.empty())
    if (auto file = script_of(tree)) files.push_back(std::move(*file));
  return files;
}

std::optional<Match> detect(const Inspection& about) {
  const bool has_package = about.tree.has_file("package.json");
  if (const char* file = manifest_of(about.tree)) {
    const auto read = manifest(about.tree);
    // Beside a package.json it may be there for Deno's formatter alone.
    const bool starts =
        !read || !task(*read, "start").empty() ||
        (about.start ? !has_package || about.start->value.find("deno") != std::string::npos
                     : !has_package && script_of(about.tree).has_value());
    return Match{file, starts ? Evidence::manifest : Evidence::companion};
  }
  if (has_package) return std::nullopt;
  const auto file = script_of(about.tree);
  const auto text = file ? about.tree.read(*file, max_inspected_bytes)
                         : Result<std::string>(Error(ErrorKind::not_found, ""));
  if (!text) return std::nullopt;
  for (const char* sign : {"deno.land/", "Deno.", "\"jsr:", "'jsr:", "\"npm:", "'npm:"})
    if (text->find(sign) != std::string::npos) return Match{*file, Evidence::sources};
  return std::nullopt;
}

Result<LanguagePlan> plan(const Inspection& about) {
  const auto said = manifest(about.tree);
  if (!said) return said.error();
  LanguagePlan result;
  result.tool = "deno";
  choose_version(result, about, "deno", "Deno", "", std::nullopt);
  result.env = {{"DENO_DIR", "/app/.deno"}, {"DENO_SERVE_ADDRESS", "tcp:0.0.0.0:8080"}};
  std::vector<std::string> commands;
  if (manifest_of(about.tree) != nullptr) commands.emplace_back("deno install");
  std::string files;
  for (const std::string& file :
       started_files(about.tree, about.start ? about.start->value : task(*said, "start")))
    files += " " + shell_quote(file);
  if (!files.empty()) commands.push_back("deno cache" + files);
  std::string lines, listed;
  for (const std::string& command : commands) {
    lines += (lines.empty() ? "" : "\n") + command;
    listed += (listed.empty() ? "" : ", ") + command;
  }
  if (!commands.empty()) {
    result.step("install", lines);
    result.reason("Install: " + listed + ", into /app/.deno.");
  }
  if (!add_build_command(result, about))
    if (const std::string line = task(*said, "build"); !line.empty()) {
      result.step("build", "deno task build");
      result.reason("Build: " + line + " (tasks.build of " + manifest_of(about.tree) + ").");
    }
  result.start = start_of(about.tree, *said);
  return result;
}

}  // namespace

Language deno() {
  return {"deno", "Deno", "deno.json, deno.jsonc or a main.ts for Deno", {}, detect, plan};
}

}  // namespace karreg::builder::languages_of
