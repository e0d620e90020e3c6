#include "builder/inspect.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "builder/processes.hpp"
#include "builder/said.hpp"
#include "builder/shell_line.hpp"
#include "builder/submodules.hpp"
#include "builder/system_packages.hpp"
#include "common/config.hpp"
#include "common/text.hpp"
#include "common/wire/app_types.hpp"

namespace karreg::builder {
namespace {

constexpr std::string_view override_hint =
    "To override: CC_RUN_COMMAND or a Procfile with a `web:` line (start), CC_BUILD_COMMAND "
    "(build), CC_PRE_BUILD_HOOK and CC_POST_BUILD_HOOK (around it), APP_FOLDER (a subfolder); or "
    "karreg.toml in the repository.";

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

std::string known_types() {
  std::string text;
  for (const auto& type : wire::app_types)
    text += (text.empty() ? "" : ", ") + std::string(type.name);
  return text;
}

/// What to say of an app that is not known to be started when it has workers; may be empty.
std::string only_workers(const Said& said) {
  if (!said.workers || said.workers->all.empty()) return "";
  return "It has workers (" + names_of(*said.workers) +
         ") and no web process, and an app here listens for HTTP: its workers run beside that. Add "
         "a `web:` line to the Procfile, or set CC_RUN_COMMAND, with a command that answers on "
         "port 8080. ";
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

Error nothing_found(const SourceTree& tree, const Said& said) {
  std::string message = only_workers(said) + "No known way to build this was found in " +
                        place(said.folder) + ". There is: " + what_is_there(tree) + ".";
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

void add_hook(const Overrides& settings, std::string_view name, wire::BuildPlan& plan) {
  if (const auto hook = settings.find(name)) {
    plan.steps.push_back({std::string(name), hook->value});
    plan.reasons.push_back("Hook: " + hook->value + " (" + hook->origin + ").");
  }
}

Result<const Language*> language_of(const std::string& type, const SourceTree& tree,
                                    const Said& said, const std::vector<Found>& found) {
  if (type == "auto") {
    if (found.empty()) return nothing_found(tree, said);
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
  auto submodules = submodules_of(whole, said->folder, said->settings);
  auto packages = system_packages(tree, said->settings);
  if (!packages) return packages.error();
  if (submodules) add_for_build(*packages, submodules->packages, "the submodules");
  const Inspection about{tree, said->settings, said->settings.find("CC_RUN_COMMAND"),
                         std::move(*packages)};

  const std::vector<Found> found = matches(about);
  const std::string type =
      settings.variant == "auto" && !said->type.empty() ? said->type : settings.variant;
  auto chosen = language_of(type, tree, *said, found);
  if (!chosen) return chosen.error();
  const Language& language = **chosen;
  const auto match = std::ranges::find(found, &language, &Found::language);
  if (match == found.end()) return wrong_type(tree, said->folder, language, found);

  auto decided = language.plan(about);
  if (!decided) return decided.error();
  if (!about.start && !decided->start)
    return Error(decided->start.error().kind(),
                 only_workers(*said) + decided->start.error().message());

  wire::BuildPlan plan;
  plan.folder = said->folder;
  plan.runtime = runtime_with(decided->runtime, about.packages);
  if (!decided->build_runtime.empty())
    plan.build_runtime = runtime_with(decided->build_runtime, about.packages);
  plan.packages = about.packages.run;
  plan.build_packages = about.packages.build;
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
  std::ranges::copy(about.packages.reasons, std::back_inserter(plan.reasons));
  if (!submodules) return submodules.error();
  if (submodules->step) plan.steps.push_back(std::move(*submodules->step));
  std::ranges::move(submodules->reasons, std::back_inserter(plan.reasons));
  if (plan.problem.empty()) plan.problem = submodules->problem;
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
  if (!said->workers) said->workers.emplace();
  if (!said->cron) said->cron.emplace();
  auto beside = plan_processes(said->workers->all, said->cron->all, about.settings, plan);
  if (!beside) return beside.error();
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
  for (const auto& worker : plan.workers)
    if (bad(worker.command)) return "the worker " + worker.name;
  for (const auto& each : plan.cron)
    if (bad(each.command)) return "a command of cron";
  if (bad(plan.release)) return "the release command";
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
