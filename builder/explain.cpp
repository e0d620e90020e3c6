#include "builder/explain.hpp"

#include "builder/folder_tree.hpp"
#include "builder/git_tree.hpp"
#include "builder/inspect.hpp"

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

}  // namespace karreg::builder
