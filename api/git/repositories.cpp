#include "api/git/repositories.hpp"

#include <fcntl.h>
#include <git2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <vector>

#include "common/git/repository.hpp"
#include "common/handle.hpp"

namespace karreg::api::git {

using karreg::git::last_error;
using ConfigHandle = Handle<git_config, git_config_free>;
using ReferenceHandle = Handle<git_reference, git_reference_free>;

namespace {

std::string hooks_folder(const Settings& settings) {
  return settings.repositories + "/.hooks";
}

Result<void> configure(const Settings& settings, git_repository* repository) {
  ConfigHandle config;
  int code = git_repository_config(Out(config), repository);
  if (code != 0) return last_error("reading the repository's configuration", code);
  const auto set = [&](const char* name, const std::string& value) {
    if (code == 0) code = git_config_set_string(config.get(), name, value.c_str());
  };
  set("core.hooksPath", hooks_folder(settings));
  set("http.receivepack", "true");
  set("receive.fsckObjects", "true");
  set("receive.advertisePushOptions", "true");
  set("receive.denyDeletes", "true");
  set("receive.denyNonFastForwards", "false");
  // A push from a shallow clone brings its boundary along.
  set("receive.shallowUpdate", "true");
  // Branches are moved by our hook's verdict on the deployment.
  set("receive.procReceiveRefs", "refs/heads");
  set("transfer.hideRefs", "refs/karreg");
  set("receive.autogc", "false");
  set("gc.auto", "0");
  if (code != 0) return last_error("configuring the repository", code);
  return ok();
}

Result<karreg::git::Repository> open(const Settings& settings, const std::string& app_id) {
  return karreg::git::Repository::open(repository_path(settings, app_id));
}

Result<git_oid> parse_oid(const std::string& text) {
  git_oid oid;
  const int code = git_oid_fromstr(&oid, text.c_str());
  if (code != 0) return last_error("reading the commit id " + text, code);
  return oid;
}

/// What the reference @p name points to; 40 zeros: there is none.
Result<std::string> target_of(const karreg::git::Repository& repository, const std::string& name) {
  git_oid oid;
  const int code = git_reference_name_to_id(&oid, repository.raw(), name.c_str());
  if (code == GIT_ENOTFOUND) return std::string(GIT_OID_HEXSZ, '0');
  if (code != 0) return last_error("reading " + name, code);
  return karreg::git::to_text(oid);
}

std::set<std::string> lines_of(const std::filesystem::path& path) {
  std::set<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.insert(line);
  return lines;
}

/// The commits at the ends of all branches, which lack nothing.
Result<std::set<std::string>> branch_tips(const karreg::git::Repository& repository) {
  std::set<std::string> tips;
  auto branches = repository.references("refs/heads/*");
  if (!branches) return branches.error();
  for (const auto& name : *branches) {
    auto tip = target_of(repository, name);
    if (!tip) return tip.error();
    tips.insert(*tip);
  }
  return tips;
}

/// Adds to @p boundary the commits of the history of @p commit whose parents are missing.
Result<void> find_boundary(const karreg::git::Repository& repository, const std::string& commit,
                           std::set<std::string>& boundary) {
  karreg::git::OdbHandle objects;
  int code = git_repository_odb(Out(objects), repository.raw());
  if (code != 0) return last_error("opening the objects", code);
  auto seen = branch_tips(repository);
  if (!seen) return seen.error();
  std::vector<std::string> ahead = {commit};
  while (!ahead.empty()) {
    const std::string id = std::move(ahead.back());
    ahead.pop_back();
    if (boundary.contains(id) || !seen->insert(id).second) continue;
    auto oid = parse_oid(id);
    if (!oid) return oid.error();
    karreg::git::CommitHandle found;
    code = git_commit_lookup(Out(found), repository.raw(), &*oid);
    if (code != 0) return last_error("looking up the commit " + id, code);
    for (unsigned n = 0; n < git_commit_parentcount(found.get()); ++n) {
      const git_oid* parent = git_commit_parent_id(found.get(), n);
      if (git_odb_exists(objects.get(), parent) == 1)
        ahead.push_back(karreg::git::to_text(*parent));
      else
        boundary.insert(id);
    }
  }
  return ok();
}

/// Replaces @p path as git does: under `<path>.lock`, which keeps git and us apart.
Result<void> write_locked(const std::filesystem::path& path, const std::set<std::string>& lines) {
  const std::string lock = path.string() + ".lock";
  const int fd = ::open(lock.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0)
    return Error(ErrorKind::conflict, "cannot lock " + path.string() + ": " + std::strerror(errno));
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (::close(fd) == 0 && written && ::rename(lock.c_str(), path.c_str()) == 0) return ok();
  ::unlink(lock.c_str());
  return Error(ErrorKind::internal, "cannot write " + path.string());
}

}  // namespace

bool has_repository(const Settings& settings, const std::string& app_id) {
  std::error_code ignored;
  return std::filesystem::exists(repository_path(settings, app_id) + "/HEAD", ignored);
}

Result<bool> has_commit(const Settings& settings, const std::string& app_id,
                        const std::string& commit) {
  auto repository = open(settings, app_id);
  if (!repository) return repository.error();
  auto found = repository->commit(commit);
  if (found) return true;
  if (found.error().kind() == ErrorKind::not_found) return false;
  return found.error();
}

std::map<std::string, std::string> git_environment() {
  return {{"PATH", "/usr/local/bin:/usr/bin:/bin"},
          {"HOME", "/nonexistent"},
          {"LANG", "C.UTF-8"},
          {"GIT_CONFIG_NOSYSTEM", "1"},
          {"GIT_CONFIG_GLOBAL", "/dev/null"}};
}

std::string repository_path(const Settings& settings, const std::string& app_id) {
  return settings.repositories + "/" + app_id + ".git";
}

Result<void> create_repository(const Settings& settings, const std::string& app_id) {
  git_libgit2_init();
  karreg::git::RepositoryHandle repository;
  git_repository_init_options options;
  git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
  options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKPATH;
  options.initial_head = "master";  // whatever the operator's own git is set to
  const int code =
      git_repository_init_ext(Out(repository), repository_path(settings, app_id).c_str(), &options);
  if (code != 0) return last_error("making the repository of " + app_id, code);
  return configure(settings, repository.get());
}

Result<void> remove_repository(const Settings& settings, const std::string& app_id) {
  std::error_code ec;
  std::filesystem::remove_all(repository_path(settings, app_id), ec);
  if (ec)
    return Error(ErrorKind::internal,
                 "cannot remove the repository of " + app_id + ": " + ec.message());
  return ok();
}

Result<void> install_hooks(const Settings& settings, const std::string& program) {
  const std::string folder = hooks_folder(settings);
  std::error_code ec;
  std::filesystem::create_directories(folder, ec);
  const std::string path = folder + "/proc-receive";
  const std::string temporary = path + ".new";
  std::ofstream file(temporary);
  file << "#!/bin/sh\nexec '" << program << "' hook proc-receive\n";
  file.close();
  ::chmod(temporary.c_str(), 0755);
  std::filesystem::rename(temporary, path, ec);
  if (!file || ec) return Error(ErrorKind::internal, "cannot write the git hooks in " + folder);
  return ok();
}

Result<std::string> move_branch(const Settings& settings, const std::string& app_id,
                                const std::string& branch, const std::string& commit) {
  auto repository = open(settings, app_id);
  if (!repository) return repository.error();
  auto to = parse_oid(commit);
  if (!to) return to.error();
  const std::string name = "refs/heads/" + branch;
  auto was = target_of(*repository, name);
  if (!was || *was == commit) return was;
  ReferenceHandle reference;
  const int code =
      git_reference_create(Out(reference), repository->raw(), name.c_str(), &*to, 1, "deployment");
  if (code != 0) return last_error("moving the branch " + branch, code);
  return was;
}

Result<void> mark_boundary(const Settings& settings, const std::string& app_id,
                           const std::string& commit) {
  auto repository = open(settings, app_id);
  if (!repository) return repository.error();
  const std::filesystem::path file = repository_path(settings, app_id) + "/shallow";
  std::set<std::string> boundary = lines_of(file);
  const std::size_t before = boundary.size();
  auto found = find_boundary(*repository, commit, boundary);
  if (!found || boundary.size() == before) return found;
  return write_locked(file, boundary);
}

Result<void> keep_commit(const Settings& settings, const std::string& app_id, int number,
                         const std::string& commit) {
  auto repository = open(settings, app_id);
  if (!repository) return repository.error();
  auto oid = parse_oid(commit);
  if (!oid) return oid.error();
  ReferenceHandle reference;
  const std::string name = "refs/karreg/deployments/" + std::to_string(number);
  const int code =
      git_reference_create(Out(reference), repository->raw(), name.c_str(), &*oid, 1, "deployment");
  if (code != 0) return last_error("keeping the commit " + commit, code);
  return ok();
}

}  // namespace karreg::api::git
