#include "builder/inspect.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "builder/clever_files.hpp"
#include "builder/karreg_toml.hpp"
#include "builder/procfile.hpp"
#include "builder/shell_line.hpp"
#include "common/config.hpp"
#include "common/text.hpp"
#include "common/wire/app_types.hpp"

namespace karreg::builder {
namespace {

constexpr std::string_view override_hint =
    "To override: CC_RUN_COMMAND or a Procfile with a `web:` line (start), CC_BUILD_COMMAND "
    "(build), CC_PRE_BUILD_HOOK and CC_POST_BUILD_HOOK (around it), APP_FOLDER (a subfolder); or "
    "karreg.toml in the repository.";
constexpr const char* procfile_name = "Procfile";

struct Found {
  const Language* language;
  Match match;
};

/// Those that recognise the tree, the one that wins first.
std::vector<Found> matches(const Inspection& about) {
  std::vector<Found> found;
  for (const Language& language : languages())
    if (auto match = language.detect(about)) found.push_back({&language, std::move(*match)});
  std::ranges::sort(found, {}, [](const Found& each) {
    return std::pair(each.match.evidence, each.language - languages().data());
  });
  return found;
}

const Language* find_language(std::string_view name) {
  for (const Language& language : languages())
    if (language.name == name) return &language;
  return nullptr;
}

/// "package.json, README.md, src/": the first names of the tree, so that the pusher sees what we
/// saw.
std::string what_is_there(const SourceTree& tree) {
  constexpr std::size_t most = 12;
  const std::vector<Entry> entries = tree.list("");
  if (entries.empty()) return "nothing";
  std::string text;
  for (std::size_t i = 0; i < entries.size() && i < most; ++i) {
    if (i > 0) text += ", ";
    text += entries[i].name;
    if (entries[i].kind == EntryKind::folder) text += '/';
  }
  if (entries.size() > most) text += " and " + std::to_string(entries.size() - most) + " more";
  return text;
}

std::string known_types() {
  std::string text;
  for (const auto& type : wire::app_types)
    text += (text.empty() ? "" : ", ") + std::string(type.name);
  return text;
}

/// "APP_FOLDER=backend (package.json)": apps one level down, of @p wanted only when given.
std::string apps_below(const SourceTree& tree, const Language* wanted) {
  std::string text;
  const Overrides none;
  for (const Entry& entry : tree.list("")) {
    if (entry.kind != EntryKind::folder) continue;
    const Subtree below(tree, entry.name);
    for (const Found& found : matches({below, none, std::nullopt})) {
      if (wanted != nullptr && found.language != wanted) continue;
      text += (text.empty() ? "" : " or ") + std::string("APP_FOLDER=") + entry.name + " (" +
              entry.name + "/" + found.match.file + ")";
      break;
    }
  }
  return text;
}

std::string place(const std::string& folder) {
  return folder.empty() ? "the root of the repository" : "the folder " + folder + " (APP_FOLDER)";
}

Error nothing_found(const SourceTree& tree, const std::string& folder) {
  std::string message = "No known way to build this was found in " + place(folder) +
                        ". There is: " + what_is_there(tree) + ".";
  const std::string below = apps_below(tree, nullptr);
  message +=
      below.empty()
          ? " Set APP_FOLDER to the folder of the app, say how to start it (CC_RUN_COMMAND, a "
            "Procfile with a `web:` line, or karreg.toml), or add a file that says what it is:"
          : " If the app is in a subfolder, set " + below + ". What was looked for:";
  std::string looked;
  for (const Language& language : languages())
    looked +=
        fmt::format("{} {} ({})", looked.empty() ? "" : ";", language.title, language.looked_for);
  return {ErrorKind::invalid, message + looked + "."};
}

Error wrong_type(const SourceTree& tree, const std::string& folder, const Language& wanted,
                 const std::vector<Found>& found) {
  std::string message = "This app has the type " + std::string(wanted.name) + ", but " +
                        place(folder) + " has no " + std::string(wanted.looked_for) +
                        ". There is: " + what_is_there(tree) + ".";
  const std::string below = apps_below(tree, &wanted);
  if (!below.empty()) {
    message += " If the app is in a subfolder, set " + below + ".";
  } else if (!found.empty()) {
    const Found& first = found.front();
    message += fmt::format(
        " {} says {}: push to an app of the type {} (karreg create --type {}) or auto.",
        first.match.file, first.language->title, first.language->name, first.language->name);
  } else {
    message += " Add it, or set APP_FOLDER to the folder of the app.";
  }
  return {ErrorKind::invalid, message};
}

/// @p given (APP_FOLDER) as a clean relative path, "" for the root.
Result<std::string> clean_folder(const Given& given) {
  if (auto clean = path_inside(given.value)) return std::move(*clean);
  return Error(ErrorKind::invalid, given.origin + "=" + given.value +
                                       " leaves the repository: give a folder inside it.");
}

std::vector<Variable> all_variables() {
  const auto common = common_variables();
  std::vector<Variable> all(common.begin(), common.end());
  for (const Language& language : languages())
    all.insert(all.end(), language.variables.begin(), language.variables.end());
  return all;
}

/// What the tree and the owner say, strongest first, and the folder that is the app.
struct Said {
  Overrides settings;
  std::string folder;
  std::string type;  ///< of karreg.toml; may be empty
  std::map<std::string, std::string> env;
  std::vector<std::string> notes;  ///< sentences about what is not done
};

Result<std::optional<KarregToml>> karreg_toml_in(const SourceTree& whole,
                                                 const std::string& folder) {
  const std::string path = join_path(folder, karreg_toml_name);
  if (!whole.has_file(path)) return std::optional<KarregToml>();
  auto text = whole.read(path, max_inspected_bytes);
  if (!text) return Error(ErrorKind::invalid, text.error().message());
  auto parsed = parse_karreg_toml(path, *text, all_variables());
  if (!parsed) return parsed.error();
  return std::optional(std::move(*parsed));
}

Result<void> read_procfile(const SourceTree& tree, Said& said) {
  if (!tree.has_file(procfile_name)) return ok();
  auto text = tree.read(procfile_name, max_inspected_bytes);
  if (!text) return Error(ErrorKind::invalid, text.error().message());
  auto processes = parse_procfile(*text);
  if (!processes) return processes.error();
  for (const auto& [name, command] : *processes) {
    if (name == "web")
      said.settings.add_weaker({{"CC_RUN_COMMAND", {command, "web: of Procfile"}}});
    else
      said.notes.push_back("Procfile: the process `" + name + "` is not started, only `web` is.");
  }
  return ok();
}

Result<Said> what_is_said(const SourceTree& whole, const AppSettings& settings) {
  Said said;
  said.settings = Overrides(settings.env);
  const auto take = [&](const KarregToml& file) {
    said.settings.add_weaker(file.given);
    if (said.type.empty()) said.type = file.type;
    said.env.insert(file.env.begin(), file.env.end());
  };
  auto of_root = karreg_toml_in(whole, "");
  if (!of_root) return of_root.error();
  Overrides folders = said.settings;
  if (*of_root) folders.add_weaker((*of_root)->given);
  if (const auto given = folders.find("APP_FOLDER")) {
    auto folder = clean_folder(*given);
    if (!folder) return folder.error();
    if (!whole.has_folder(*folder))
      return Error(ErrorKind::invalid, given->origin + "=" + *folder +
                                           ": the repository has no such folder. There is: " +
                                           what_is_there(whole) + ".");
    said.folder = *folder;
  }
  const Subtree tree(whole, said.folder);
  // The folder's own files before those of the root.
  auto clever = read_clever_files(tree);
  if (!clever) return clever.error();
  said.settings.add_weaker(*clever);
  if (!said.folder.empty()) {
    auto of_whole = read_clever_files(whole);
    if (!of_whole) return of_whole.error();
    said.settings.add_weaker(*of_whole);
    auto of_folder = karreg_toml_in(whole, said.folder);
    if (!of_folder) return of_folder.error();
    if (*of_folder) take(**of_folder);
  }
  if (*of_root) take(**of_root);
  if (auto done = read_procfile(tree, said); !done) return done.error();
  return said;
}

void add_hook(const Overrides& settings, std::string_view name, wire::BuildPlan& plan) {
  if (const auto hook = settings.find(name)) {
    plan.steps.push_back({std::string(name), hook->value});
    plan.reasons.push_back("Hook: " + hook->value + " (" + hook->origin + ").");
  }
}

Result<const Language*> language_of(const std::string& type, const SourceTree& tree,
                                    const std::string& folder, const std::vector<Found>& found) {
  if (type == "auto") {
    if (found.empty()) return nothing_found(tree, folder);
    return found.front().language;
  }
  const auto known = wire::app_type(type);
  const Language* language = known ? find_language(known->name) : nullptr;
  if (language == nullptr)
    return Error(
        ErrorKind::invalid,
        "The type `" + type + "` of this app is not known. Known types: " + known_types() + ".");
  return language;
}

Result<wire::BuildPlan> decide(const SourceTree& whole, const AppSettings& settings) {
  auto said = what_is_said(whole, settings);
  if (!said) return said.error();
  const Subtree tree(whole, said->folder);
  const Inspection about{tree, said->settings, said->settings.find("CC_RUN_COMMAND")};

  const std::vector<Found> found = matches(about);
  const std::string type =
      settings.variant == "auto" && !said->type.empty() ? said->type : settings.variant;
  auto chosen = language_of(type, tree, said->folder, found);
  if (!chosen) return chosen.error();
  const Language& language = **chosen;
  const auto match = std::ranges::find(found, &language, &Found::language);
  if (match == found.end()) return wrong_type(tree, said->folder, language, found);

  auto decided = language.plan(about);
  if (!decided) return decided.error();
  if (!about.start && !decided->start) return decided->start.error();

  wire::BuildPlan plan;
  plan.folder = said->folder;
  plan.runtime = decided->runtime;
  plan.build_runtime = decided->build_runtime;
  plan.tool = decided->tool;
  plan.output_root = decided->output_root;
  plan.problem = decided->problem;
  plan.env = std::move(said->env);
  plan.env.merge(decided->env);
  plan.reasons.push_back("Detected " + std::string(language.title) + " (" + match->match.file +
                         (said->folder.empty() ? std::string()
                                               : " in " + said->folder + ", from " +
                                                     said->settings.find("APP_FOLDER")->origin) +
                         ").");
  if (const auto limit = about.settings.find("CC_BUILD_TIME_LIMIT")) {
    const auto time = parse_duration(limit->value);
    if (!time || *time <= std::chrono::milliseconds::zero())
      return Error(ErrorKind::invalid,
                   limit->origin + "=" + limit->value +
                       " is no length of time: give a number and s, m or h, for "
                       "example 10m.");
    plan.wall_ms = time->count();
    plan.reasons.push_back("Time limit of the build: " + limit->value + " (" + limit->origin +
                           ").");
  }
  add_hook(about.settings, "CC_PRE_BUILD_HOOK", plan);
  std::ranges::move(decided->steps, std::back_inserter(plan.steps));
  std::ranges::move(decided->reasons, std::back_inserter(plan.reasons));
  add_hook(about.settings, "CC_POST_BUILD_HOOK", plan);
  if (const auto hook = about.settings.find("CC_PRE_RUN_HOOK")) {
    plan.pre_run = hook->value;
    plan.reasons.push_back("Before each start: " + hook->value + " (" + hook->origin + ").");
  }
  plan.before_start = decided->before_start;
  if (plan.steps.empty()) plan.reasons.emplace_back("Nothing to build: the files are the app.");
  if (about.start) {
    plan.run_command = shell_argv(about.start->value);
    plan.reasons.push_back("Start: " + about.start->value + " (" + about.start->origin + ").");
  } else {
    plan.run_command = decided->start->command;
    plan.reasons.push_back("Start: " + decided->start->reason + ".");
  }
  std::ranges::move(said->notes, std::back_inserter(plan.reasons));
  for (const Found& other : found)
    if (other.language != &language)
      plan.reasons.push_back("Also seen: " + other.match.file + " (" +
                             std::string(other.language->title) + "). An app of the type " +
                             std::string(other.language->name) + " would use it instead.");
  plan.reasons.emplace_back(override_hint);
  return plan;
}

/// The first text of @p plan that no command line and no database takes.
std::optional<std::string> unusable_text(const wire::BuildPlan& plan) {
  const auto bad = [](const std::string& text) {
    return text.find('\0') != std::string::npos || !text::is_utf8(text);
  };
  for (const auto& step : plan.steps)
    if (bad(step.command)) return "the step " + step.name;
  for (const std::string& word : plan.run_command)
    if (bad(word)) return "the start command";
  for (const auto& [name, value] : plan.env)
    if (bad(name) || bad(value)) return "the variable " + name;
  for (const std::string* text : {&plan.pre_run, &plan.before_start, &plan.output_root})
    if (bad(*text)) return "what runs before the start";
  return std::nullopt;
}

}  // namespace

Result<wire::BuildPlan> inspect(const SourceTree& whole, const AppSettings& settings) {
  auto plan = decide(whole, settings);
  // Names of files and values of manifests stand in sentences: a tenant chose their bytes.
  if (!plan) return Error(plan.error().kind(), text::printable(plan.error().message()));
  for (std::string& reason : plan->reasons) reason = text::printable(reason);
  plan->problem = text::printable(plan->problem);
  plan->tool = text::printable(plan->tool);
  if (const auto what = unusable_text(*plan))
    return Error(ErrorKind::invalid,
                 text::printable(*what) +
                     " has a zero byte, or bytes that are no UTF-8: neither can "
                     "be part of a command. Remove them from the file or the "
                     "variable that it comes from.");
  return plan;
}

}  // namespace karreg::builder
