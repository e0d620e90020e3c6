#include "api/git/branches.hpp"

#include "api/git/push_rules.hpp"
#include "api/git/repositories.hpp"

namespace karreg::api::git {

Result<std::optional<std::string>> move_branch_for(const Services& services, const OpenPush& push) {
  using Was = std::optional<std::string>;
  if (push.shallow) {
    auto marked = mark_boundary(services.settings, push.app_id, push.new_id);
    if (!marked) return marked.error();
  }
  // Moved before the commit: a transaction that fails after that is repeated by the next move.
  return services.database.transact([&](pqxx::work& work) -> Result<Was> {
    if (!claim_branch(work, push.app_id, push.ref, push.number)) return Was();
    auto was = move_branch(services.settings, push.app_id, branch_of(push.ref), push.new_id);
    if (!was) return was.error();
    return Was(*was);
  });
}

}  // namespace karreg::api::git
