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

Result<std::int64_t> Repository::size_of(const git_oid& oid) const {
  OdbHandle objects;
  if (const int code = git_repository_odb(Out(objects), handle_.get()); code != 0)
    return last_error("opening the objects of the repository", code);
  std::size_t bytes = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  if (const int code = git_odb_read_header(&bytes, &type, objects.get(), &oid); code != 0)
    return last_error("looking up the object " + to_text(oid), code);
  return static_cast<std::int64_t>(bytes);
}

Result<void> Repository::at_most(const git_oid& oid, std::int64_t max_bytes) const {
  auto bytes = size_of(oid);
  if (!bytes) return bytes.error();
  if (*bytes <= max_bytes) return ok();
  return Error(ErrorKind::too_large, "the git object " + to_text(oid) + " has " +
                                         std::to_string(*bytes) + " bytes, more than the " +
                                         std::to_string(max_bytes) + " that are read");
}

Result<BlobHandle> Repository::blob(const git_oid& oid, std::int64_t max_bytes) const {
  if (auto small = at_most(oid, max_bytes); !small) return small.error();
  BlobHandle found;
  if (const int code = git_blob_lookup(Out(found), handle_.get(), &oid); code != 0)
    return last_error("reading the blob " + to_text(oid), code);
  return found;
}

Result<TreeHandle> Repository::tree(const git_oid& oid) const {
  if (auto small = at_most(oid, max_tree_bytes); !small) return small.error();
  TreeHandle found;
  if (const int code = git_tree_lookup(Out(found), handle_.get(), &oid); code != 0)
    return last_error("reading the tree " + to_text(oid), code);
  return found;
}

Result<Commit> Repository::load(const git_oid& oid) const {
  if (auto small = at_most(oid, max_tree_bytes); !small) return small.error();
  CommitHandle commit;
  if (const int code = git_commit_lookup(Out(commit), handle_.get(), &oid); code != 0)
    return last_error("looking up the commit " + to_text(oid), code);
  auto root = tree(*git_commit_tree_id(commit.get()));
  if (!root) return root.error().within("the commit " + to_text(oid));
  return Commit{to_text(oid), git_commit_time(commit.get()), std::move(*root)};
}

Result<Commit> Repository::commit(const std::string& id) const {
  git_oid oid;
  // In capitals libgit2 would take it too, but what compares ids as texts would not find it.
  const bool hexadecimal = id.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (id.size() != GIT_OID_HEXSZ || !hexadecimal || git_oid_fromstr(&oid, id.c_str()) != 0)
    return Error(ErrorKind::invalid, "\"" + id + "\" is no full commit id (40 hexadecimal digits)");
  return load(oid);
}

Result<Commit> Repository::commit_at(const std::string& reference) const {
  git_oid oid;
  if (const int code = git_reference_name_to_id(&oid, handle_.get(), reference.c_str()); code != 0)
    return last_error("resolving " + reference, code);
  return load(oid);
}

Result<std::vector<std::string>> Repository::references(const std::string& pattern) const {
  std::vector<std::string> names;
  ReferenceIteratorHandle iterator;
  int code = git_reference_iterator_glob_new(Out(iterator), handle_.get(), pattern.c_str());
  const char* name = nullptr;
  while (code == 0 && (code = git_reference_next_name(&name, iterator.get())) == 0)
    names.emplace_back(name);
  if (code != GIT_ITEROVER) return last_error("listing " + pattern, code);
  return names;
}

}  // namespace karreg::git
