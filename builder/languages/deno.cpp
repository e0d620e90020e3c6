// Deno: deno.json, deno.jsonc, or a main.ts and its like that imports what Deno alone knows.
//   build    what the program imports is fetched into /app/.deno; tasks.build; CC_BUILD_COMMAND
//            replaces that.
//   start    tasks.start, else main.ts, server.ts ...
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

/// The value of tasks.NAME; deno.jsonc has comments, which the parser takes.
std::string task(const SourceTree& tree, const char* name) {
  const char* file = manifest_of(tree);
  if (file == nullptr) return "";
  const auto text = tree.read(file, max_inspected_bytes);
  if (!text) return "";
  const auto all = nlohmann::json::parse(*text, nullptr, false, true);
  if (!all.is_object() || !all.contains("tasks") || !all["tasks"].is_object()) return "";
  const auto found = all["tasks"].find(name);
  return found != all["tasks"].end() && found->is_string() ? found->get<std::string>() : "";
}

Result<Start> start_of(const SourceTree& tree) {
  if (const std::string line = task(tree, "start"); !line.empty())
    return Start{{"/usr/bin/deno", "task", "start"},
                 line + " (tasks.start of " + manifest_of(tree) + ")"};
  if (const auto file = script_of(tree))
    return Start{{"/usr/bin/deno", "run", "--allow-all", *file},
                 "deno run --allow-all " + *file + " (the file is there)"};
  return Error(ErrorKind::invalid,
               "Nothing says how to start this app: deno.json has no tasks.start, and there is no "
               "main.ts, server.ts or index.ts. Add one, or set CC_RUN_COMMAND.");
}

std::optional<Match> detect(const Inspection& about) {
  if (const char* file = manifest_of(about.tree))
    return Match{file,
                 about.start || start_of(about.tree) ? Evidence::manifest : Evidence::companion};
  if (about.tree.has_file("package.json")) return std::nullopt;
  const auto file = script_of(about.tree);
  const auto text = file ? about.tree.read(*file, max_inspected_bytes)
                         : Result<std::string>(Error(ErrorKind::not_found, ""));
  if (!text) return std::nullopt;
  for (const char* sign : {"deno.land/", "Deno.", "\"jsr:", "'jsr:", "\"npm:", "'npm:"})
    if (text->find(sign) != std::string::npos) return Match{*file, Evidence::sources};
  return std::nullopt;
}

Result<LanguagePlan> plan(const Inspection& about) {
  LanguagePlan result;
  result.tool = "deno";
  choose_version(result, about, "deno", "Deno", "", std::nullopt);
  result.env["DENO_DIR"] = "/app/.deno";
  const auto file = script_of(about.tree);
  if (file) {
    result.step("install", "deno cache " + shell_quote(*file));
    result.reason("Install: deno cache " + *file + ", into /app/.deno.");
  }
  if (!add_build_command(result, about))
    if (const std::string line = task(about.tree, "build"); !line.empty()) {
      result.step("build", "deno task build");
      result.reason("Build: " + line + " (tasks.build of " + manifest_of(about.tree) + ").");
    }
  result.start = start_of(about.tree);
  return result;
}

}  // namespace

Language deno() {
  return {"deno", "Deno", "deno.json, deno.jsonc or a main.ts for Deno", {}, detect, plan};
}

}  // namespace karreg::builder::languages_of
