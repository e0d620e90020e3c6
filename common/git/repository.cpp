#include "common/git/repository.hpp"

namespace karreg::git {
namespace {

/// Starts libgit2 once in this process.
void start_library() {
  static const bool started = [] {
    git_libgit2_init();
    // Repositories lie in our own data folder; which of our users made them says nothing.
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    return true;
  }();
  static_cast<void>(started);
}

Result<Commit> load(git_repository* repository, const git_oid& oid) {
  CommitHandle commit;
  if (const int code = git_commit_lookup(Out(commit), repository, &oid); code != 0)
    return last_error("looking up the commit " + to_text(oid), code);
  Commit found;
  if (const int code = git_commit_tree(Out(found.tree), commit.get()); code != 0)
    return last_error("reading the tree of the commit " + to_text(oid), code);
  found.id = to_text(oid);
  found.time = git_commit_time(commit.get());
  return found;
}

}  // namespace

Error last_error(std::string_view doing, int code) {
  const git_error* error = git_error_last();
  const std::string what = error != nullptr && error->message != nullptr ? error->message : "";
  return {
      code == GIT_ENOTFOUND ? ErrorKind::not_found : ErrorKind::internal,
      std::string(doing) + ": " + (what.empty() ? "libgit2 code " + std::to_string(code) : what)};
}

std::string to_text(const git_oid& oid) {
  std::string text(GIT_OID_HEXSZ, '0');
  git_oid_fmt(text.data(), &oid);
  return text;
}

Result<Repository> Repository::open(const std::filesystem::path& folder) {
  start_library();
  RepositoryHandle handle;
  if (const int code = git_repository_open_ext(Out(handle), folder.c_str(),
                                               GIT_REPOSITORY_OPEN_NO_SEARCH, nullptr);
      code != 0)
    return last_error("opening the repository " + folder.string(), code);
  return Repository(std::move(handle));
}

Result<Commit> Repository::commit(const std::string& id) const {
  git_oid oid;
  if (id.size() != GIT_OID_HEXSZ || git_oid_fromstr(&oid, id.c_str()) != 0)
    return Error(ErrorKind::invalid, "`" + id + "` is not a full commit id");
  return load(handle_.get(), oid);
}

Result<Commit> Repository::commit_at(const std::string& reference) const {
  git_oid oid;
  if (const int code = git_reference_name_to_id(&oid, handle_.get(), reference.c_str()); code != 0)
    return last_error("resolving " + reference, code);
  return load(handle_.get(), oid);
}

}  // namespace karreg::git
