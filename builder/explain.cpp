#include "builder/explain.hpp"

#include "builder/folder_tree.hpp"
#include "builder/git_tree.hpp"
#include "builder/inspect.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder {

Result<wire::BuildPlan> explain(const std::filesystem::path& where, const AppSettings& settings) {
  const FolderTree folder(where);
  if (folder.kind("") != EntryKind::folder && folder.kind("") != EntryKind::link)
    return Error(ErrorKind::not_found, where.string() + " is not a folder.");
  if (!folder.has_file("HEAD") || !folder.has_folder("objects")) return inspect(folder, settings);

  auto repository = git::Repository::open(where);
  if (!repository) return repository.error();
  auto commit = repository->commit_at("HEAD");
  if (!commit) return commit.error();
  return inspect(GitTree(*repository, std::move(*commit)), settings);
}

std::string rendered(const wire::BuildPlan& plan) {
  std::string text = "Type:  " + plan.runtime + " (" + plan.tool + ")\n";
  for (const auto& step : plan.steps) {
    std::string command = step.command;
    for (auto at = command.find('\n'); at != std::string::npos; at = command.find('\n', at + 1))
      command.insert(at + 1, "         ");
    text += "Step:  " + step.name + "\n         " + command + "\n";
  }
  if (!plan.pre_run.empty()) text += "Before each start:\n         " + plan.pre_run + "\n";
  std::string start;
  for (const std::string& word : plan.run_command)
    start += (start.empty() ? "" : " ") + shell_quote(word);
  text += "Start: " + start + "   (port " + std::to_string(plan.port) + ")\nWhy:\n";
  for (const std::string& reason : plan.reasons) text += "  - " + reason + "\n";
  return text;
}

}  // namespace karreg::builder
