#include "builder/said.hpp"

#include <algorithm>

#include "builder/clever_files.hpp"
#include "builder/karreg_toml.hpp"
#include "builder/procfile.hpp"
#include "builder/submodules.hpp"

namespace karreg::builder {
namespace {

constexpr const char* procfile_name = "Procfile";

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

/// @p all of @p source are the workers, unless a stronger source has some.
void take_workers(Said& said, std::string source, std::vector<SaidWorker> all) {
  SaidBy<SaidWorker> workers{std::move(source), std::move(all)};
  if (!said.workers) {
    said.workers = std::move(workers);
  } else if (!workers.all.empty()) {
    said.notes.push_back("Not started: " + names_of(workers) + ". The workers of " +
                         said.workers->source + " take the place of all of them.");
  }
}

void take_cron(Said& said, std::string source, std::vector<SaidCron> all) {
  if (!said.cron) {
    said.cron = SaidBy<SaidCron>{std::move(source), std::move(all)};
  } else if (!all.empty()) {
    said.notes.push_back("Not run: the cron of " + source + ". That of " + said.cron->source +
                         " takes its place.");
  }
}

Result<void> take_toml(Said& said, const std::string& folder, const KarregToml& file) {
  const std::string path = join_path(folder, karreg_toml_name);
  said.settings.add_weaker(file.given);
  if (said.type.empty()) said.type = file.type;
  said.env.insert(file.env.begin(), file.env.end());
  auto numbered = numbered_workers(file.given);
  if (!numbered) return numbered.error();
  if (file.workers || !numbered->empty())
    take_workers(said, path, file.workers ? *file.workers : *numbered);
  if (file.cron) take_cron(said, path, *file.cron);
  return ok();
}

/// The workers of the app's environment.
Result<void> take_environment(Said& said, const std::map<std::string, std::string>& env) {
  std::map<std::string, Given> given;
  for (const auto& [name, value] : env) given[name] = {value, name};
  auto workers = numbered_workers(given);
  if (!workers) return workers.error();
  if (!workers->empty()) take_workers(said, "the environment", std::move(*workers));
  return ok();
}

Result<void> take_clever_cron(Said& said, const SourceTree& tree, const std::string& folder) {
  auto cron = read_clever_cron(tree);
  if (!cron) return cron.error();
  if (*cron) take_cron(said, join_path(folder, "clevercloud/cron.json"), std::move(**cron));
  return ok();
}

Result<void> read_procfile(const SourceTree& tree, Said& said) {
  if (!tree.has_file(procfile_name)) return ok();
  auto text = tree.read(procfile_name, max_inspected_bytes);
  if (!text) return Error(ErrorKind::invalid, text.error().message());
  auto processes = parse_procfile(*text);
  if (!processes) return processes.error();
  std::vector<SaidWorker> workers;
  std::vector<std::string> others;
  for (const auto& [name, line] : *processes) {
    const Given command{line.command, name + ": of Procfile"};
    if (name == "web") {
      said.settings.add_weaker({{"CC_RUN_COMMAND", command}});
    } else if (name == "release") {
      said.settings.add_weaker({{"CC_RELEASE_COMMAND", command}});
    } else if (name.starts_with("worker")) {
      if (auto added = add_worker(workers, {name, command}); !added)
        return Error(ErrorKind::invalid, "Procfile, line " + std::to_string(line.number) + ": " +
                                             added.error().message());
    } else {
      others.push_back(name);
    }
  }
  if (!workers.empty()) take_workers(said, procfile_name, std::move(workers));
  for (const std::string& name : others) {
    const bool started_as_worker =
        said.workers &&
        std::ranges::find(said.workers->all, name, &SaidWorker::name) != said.workers->all.end();
    if (!started_as_worker)
      said.notes.push_back("Procfile: the process `" + name +
                           "` is not started. `web`, `release` and names that begin with `worker` "
                           "are: call it `worker_" +
                           name + "`, or give its command in [workers] of karreg.toml.");
  }
  return ok();
}

/// The folder of the app: APP_FOLDER, checked against the tree.
Result<std::string> folder_of(const SourceTree& whole, const Overrides& settings) {
  const auto given = settings.find("APP_FOLDER");
  if (!given) return std::string();
  auto folder = clean_folder(*given);
  if (!folder) return folder;
  if (const auto submodule = submodule_at(whole, *folder))
    return Error(ErrorKind::invalid,
                 given->origin + "=" + *folder + " is in the submodule " + *submodule +
                     ", whose files only the build fetches: what they are cannot be found out "
                     "before. Push the repository of the submodule to an app of its own, or put "
                     "its files into this one.");
  if (whole.has_folder(*folder)) return folder;
  return Error(ErrorKind::invalid,
               given->origin + "=" + *folder +
                   ": the repository has no such folder. There is: " + what_is_there(whole) + ".");
}

}  // namespace

Result<Said> what_is_said(const SourceTree& whole, const AppSettings& settings) {
  Said said;
  said.settings = Overrides(settings.env);
  if (auto done = take_environment(said, settings.env); !done) return done.error();
  auto of_root = karreg_toml_in(whole, "");
  if (!of_root) return of_root.error();
  Overrides folders = said.settings;
  if (*of_root) folders.add_weaker((*of_root)->given);
  auto folder = folder_of(whole, folders);
  if (!folder) return folder.error();
  said.folder = *folder;

  const Subtree tree(whole, said.folder);
  // The folder's own files before those of the root.
  auto clever = read_clever_files(tree);
  if (!clever) return clever.error();
  said.settings.add_weaker(*clever);
  if (auto done = take_clever_cron(said, tree, said.folder); !done) return done.error();
  if (!said.folder.empty()) {
    auto of_whole = read_clever_files(whole);
    if (!of_whole) return of_whole.error();
    said.settings.add_weaker(*of_whole);
    if (auto done = take_clever_cron(said, whole, ""); !done) return done.error();
    auto of_folder = karreg_toml_in(whole, said.folder);
    if (!of_folder) return of_folder.error();
    if (*of_folder)
      if (auto done = take_toml(said, said.folder, **of_folder); !done) return done.error();
  }
  if (*of_root)
    if (auto done = take_toml(said, "", **of_root); !done) return done.error();
  if (auto done = read_procfile(tree, said); !done) return done.error();
  return said;
}

}  // namespace karreg::builder
