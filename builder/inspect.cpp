#include "builder/inspect.hpp"

#include <algorithm>
#include <array>

#include "builder/procfile.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder {
namespace {

constexpr std::string_view override_hint =
    "To override: CC_RUN_COMMAND or a Procfile with a `web:` line (start), CC_BUILD_COMMAND "
    "(build), "
    "CC_PRE_BUILD_HOOK and CC_POST_BUILD_HOOK (around it), APP_FOLDER (a subfolder).";

struct Match {
  const Language* language;
  std::string file;
};

std::vector<Match> matches(const SourceTree& tree, const AppSettings& settings) {
  std::vector<Match> found;
  for (const Language& language : languages())
    if (auto file = language.detect(tree, settings)) found.push_back({&language, *file});
  return found;
}

const Language* find_language(std::string_view runtime) {
  for (const Language& language : languages())
    if (language.runtime == runtime) return &language;
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

std::string known_variants() {
  std::string text;
  for (const Language& language : languages()) text += std::string(language.runtime) + ", ";
  return text + "auto";
}

/// "APP_FOLDER=backend (package.json)": apps one level down, of @p language only when given.
std::string apps_below(const SourceTree& tree, const Language* wanted) {
  std::string text;
  for (const Entry& entry : tree.list("")) {
    if (entry.kind != EntryKind::folder) continue;
    const Subtree below(tree, entry.name);
    for (const Match& match : matches(below, {})) {
      if (wanted != nullptr && match.language != wanted) continue;
      text += (text.empty() ? "" : " or ") + std::string("APP_FOLDER=") + entry.name + " (" +
              entry.name + "/" + match.file + ")";
      break;
    }
  }
  return text;
}

std::string place(const std::string& folder) {
  return folder.empty() ? "the root of the repository" : "the folder " + folder + " (APP_FOLDER)";
}

Error nothing_found(const SourceTree& tree, const std::string& folder) {
  std::string looked;
  for (const Language& language : languages()) {
    if (!looked.empty()) looked += "; ";
    looked += std::string(language.looked_for) + " (" + std::string(language.title) + ")";
  }
  std::string message = "No known way to build this was found in " + place(folder) +
                        ". Looked for: " + looked + ". There is: " + what_is_there(tree) + ".";
  const std::string below = apps_below(tree, nullptr);
  message += below.empty() ? " Add one of these files, or set APP_FOLDER to the folder of the app."
                           : " If the app is in a subfolder, set " + below + ".";
  return {ErrorKind::invalid, message};
}

Error wrong_variant(const SourceTree& tree, const std::string& folder, const Language& wanted,
                    const std::vector<Match>& found) {
  std::string message = "This app has the type " + std::string(wanted.runtime) + ", but " +
                        place(folder) + " has no " + std::string(wanted.looked_for) +
                        ". There is: " + what_is_there(tree) + ".";
  const std::string below = apps_below(tree, &wanted);
  if (!below.empty()) {
    message += " If the app is in a subfolder, set " + below + ".";
  } else if (!found.empty()) {
    message += " " + found.front().file + " says " + std::string(found.front().language->title) +
               ": push to an app of the type " + std::string(found.front().language->runtime) +
               " (karreg create --type " + std::string(found.front().language->runtime) +
               ") or auto.";
  } else {
    message += " Add it, or set APP_FOLDER to the folder of the app.";
  }
  return {ErrorKind::invalid, message};
}

/// The owner's start command, if there is one.
Result<std::optional<Start>> given_start(const SourceTree& tree, const AppSettings& settings,
                                         std::vector<std::string>& reasons) {
  std::map<std::string, std::string> processes;
  if (tree.has_file("Procfile")) {
    auto text = tree.read("Procfile", max_inspected_bytes);
    if (!text) return text.error();
    auto parsed = parse_procfile(*text);
    if (!parsed) return parsed.error();
    processes = std::move(*parsed);
    for (const auto& [name, command] : processes)
      if (name != "web")
        reasons.push_back("Procfile: the process `" + name + "` is not started, only `web` is.");
  }
  if (auto command = settings.variable("CC_RUN_COMMAND"))
    return std::optional<Start>({shell_argv(*command), *command + " (CC_RUN_COMMAND)"});
  if (const auto web = processes.find("web"); web != processes.end())
    return std::optional<Start>({shell_argv(web->second), web->second + " (web: of Procfile)"});
  return std::optional<Start>();
}

void add_hook(const AppSettings& settings, const std::string& name, wire::BuildPlan& plan) {
  if (auto hook = settings.variable(name)) {
    plan.steps.push_back({name, *hook});
    plan.reasons.push_back("Hook: " + *hook + " (" + name + ").");
  }
}

}  // namespace

std::optional<std::string> AppSettings::variable(const std::string& name) const {
  const auto found = env.find(name);
  if (found == env.end()) return std::nullopt;
  std::string value = trimmed(found->second);
  if (value.empty()) return std::nullopt;
  return value;
}

Result<std::string> app_folder(const AppSettings& settings) {
  const std::string given = settings.variable("APP_FOLDER").value_or("");
  std::string clean;
  std::string_view rest = given;
  while (!rest.empty()) {
    const auto slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..")
      return Error(ErrorKind::invalid,
                   "APP_FOLDER=" + given + " leaves the repository: give a folder inside it.");
    clean = join_path(clean, part);
  }
  return clean;
}

Result<wire::BuildPlan> inspect(const SourceTree& whole, const AppSettings& settings) {
  auto folder = app_folder(settings);
  if (!folder) return folder.error();
  if (!whole.has_folder(*folder))
    return Error(ErrorKind::invalid, "APP_FOLDER=" + *folder +
                                         ": the repository has no such folder. There is: " +
                                         what_is_there(whole) + ".");
  const Subtree tree(whole, *folder);

  const std::vector<Match> found = matches(tree, settings);
  const Language* language = nullptr;
  if (settings.variant == "auto") {
    if (found.empty()) return nothing_found(tree, *folder);
    language = found.front().language;
  } else {
    language = find_language(settings.variant);
    if (language == nullptr)
      return Error(ErrorKind::invalid,
                   "The type `" + settings.variant +
                       "` of this app is not known. Known types: " + known_variants() + ".");
  }
  const auto match = std::ranges::find(found, language, &Match::language);
  if (match == found.end()) return wrong_variant(tree, *folder, *language, found);

  wire::BuildPlan plan;
  plan.runtime = language->runtime;
  plan.reasons.push_back(
      "Detected " + std::string(language->title) + " (" + match->file +
      (folder->empty() ? std::string() : " in " + *folder + ", from APP_FOLDER") + ").");

  std::vector<std::string> procfile_notes;
  auto given = given_start(tree, settings, procfile_notes);
  if (!given) return given.error();
  auto decided =
      language->plan({tree, settings, given->has_value(), settings.variable("CC_BUILD_COMMAND")});
  if (!decided) return decided.error();
  if (!*given && !decided->start) return decided->start.error();
  const Start start = *given ? **given : *decided->start;

  plan.tool = decided->tool;
  plan.env = std::move(decided->env);
  plan.run_command = start.command;
  add_hook(settings, "CC_PRE_BUILD_HOOK", plan);
  std::ranges::move(decided->steps, std::back_inserter(plan.steps));
  std::ranges::move(decided->reasons, std::back_inserter(plan.reasons));
  add_hook(settings, "CC_POST_BUILD_HOOK", plan);
  if (auto hook = settings.variable("CC_PRE_RUN_HOOK")) {
    plan.pre_run = *hook;
    plan.reasons.push_back("Before each start: " + *hook + " (CC_PRE_RUN_HOOK).");
  }
  if (plan.steps.empty()) plan.reasons.emplace_back("Nothing to build: the files are the app.");
  plan.reasons.push_back("Start: " + start.reason + ".");
  std::ranges::move(procfile_notes, std::back_inserter(plan.reasons));
  for (const Match& other : found)
    if (other.language != language)
      plan.reasons.push_back("Also seen: " + other.file + " (" +
                             std::string(other.language->title) + "). An app of the type " +
                             std::string(other.language->runtime) + " would use it instead.");
  plan.reasons.emplace_back(override_hint);
  return plan;
}

}  // namespace karreg::builder
