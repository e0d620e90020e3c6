#include "api/git/repositories.hpp"

#include <git2.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

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
  set("receive.maxInputSize", std::to_string(settings.max_push_bytes));
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

}  // namespace

bool has_repository(const Settings& settings, const std::string& app_id) {
  std::error_code ignored;
  return std::filesystem::exists(repository_path(settings, app_id) + "/HEAD", ignored);
}

bool has_commit(const Settings& settings, const std::string& app_id, const std::string& commit) {
  auto repository = open(settings, app_id);
  return repository && repository->commit(commit);
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

Result<void> move_branch(const Settings& settings, const std::string& app_id,
                         const std::string& branch, const std::string& old,
                         const std::string& commit) {
  auto repository = open(settings, app_id);
  if (!repository) return repository.error();
  auto to = parse_oid(commit);
  if (!to) return to.error();
  auto from = parse_oid(old);
  if (!from) return from.error();
  const std::string name = "refs/heads/" + branch;
  ReferenceHandle reference;
  const bool fresh = git_oid_is_zero(&*from) == 1;
  const int code =
      fresh ? git_reference_create(Out(reference), repository->raw(), name.c_str(), &*to, 0, "push")
            : git_reference_create_matching(Out(reference), repository->raw(), name.c_str(), &*to,
                                            1, &*from, "push");
  if (code == GIT_EMODIFIED || code == GIT_EEXISTS)
    return Error(ErrorKind::conflict,
                 "the branch " + branch + " was moved by another push meanwhile");
  if (code != 0) return last_error("moving the branch " + branch, code);
  return ok();
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
