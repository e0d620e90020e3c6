#include "api/git/orphans.hpp"

#include <map>

#include "api/git/branches.hpp"
#include "api/git/repositories.hpp"
#include "common/log.hpp"

namespace karreg::api::git {

namespace {

bool failed(const OpenPush& push) {
  return push.state == "FAIL" || push.state == "CANCELLED";
}

void report(const OpenPush& push, const Result<void>& done) {
  if (done)
    log::info("push of another run adopted",
              {log::field("app", push.app_id), log::field("deployment", push.deployment),
               log::field("commit", push.new_id)});
  else
    log::warn("push of another run not adopted",
              {log::field("app", push.app_id), log::field("deployment", push.deployment),
               log::field("why", done.error().message())});
}

Result<std::vector<OpenPush>> orphaned(const Services& services) {
  return services.database.transact(
      [](pqxx::work& work) -> Result<std::vector<OpenPush>> { return list_orphaned_pushes(work); });
}

/// Those whose branch cannot be moved while the database is away stay open, for the next call.
Result<void> adopt_all(const Services& services, const std::vector<OpenPush>& pushes) {
  using Branch = std::pair<std::string, std::string>;
  std::map<Branch, OpenPush> newest;
  std::set<Branch> unmoved;
  for (const auto& push : pushes) {
    auto kept = keep_commit(services.settings, push.app_id, push.number, push.new_id);
    if (!kept)
      report(push, kept);
    else if (!failed(push))
      newest[{push.app_id, push.ref}] = push;  // they come in the order of their numbers
  }
  for (const auto& [branch, push] : newest) {
    auto moved = move_branch_for(services, push);
    report(push, moved ? ok() : Result<void>(moved.error()));
    if (!moved && moved.error().kind() == ErrorKind::unavailable) unmoved.insert(branch);
  }
  return services.database.transact([&](pqxx::work& work) -> Result<void> {
    for (const auto& push : pushes)
      if (!unmoved.contains({push.app_id, push.ref})) close_push(work, push.deployment);
    return ok();
  });
}

}  // namespace

Result<void> Orphans::adopt() {
  auto pushes = orphaned(services_);
  if (!pushes) return pushes.error();
  return adopt_all(services_, *pushes);
}

Result<void> Orphans::adopt_forsaken() {
  auto pushes = orphaned(services_);
  if (!pushes) return pushes.error();
  std::set<std::int64_t> missing;
  std::vector<OpenPush> forsaken;
  for (const auto& push : *pushes) {
    missing.insert(push.owner);
    if (missed_.contains(push.owner)) forsaken.push_back(push);
  }
  missed_ = std::move(missing);
  if (forsaken.empty()) return ok();
  return adopt_all(services_, forsaken);
}

}  // namespace karreg::api::git
