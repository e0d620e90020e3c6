#pragma once

#include <cstdint>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "common/error.hpp"

/// Pushes that were accepted and not yet answered, and which deployment has moved which branch:
/// what a branch has to become must survive the end of this program.
namespace karreg::api {

struct OpenPush {
  std::string deployment;
  std::string app_id;
  std::string state;  ///< of the deployment
  int number = 0;     ///< of the deployment
  std::string ref;    ///< refs/heads/...
  std::string old_id;
  std::string new_id;
  bool shallow = false;    ///< the pusher has only a part of the history
  std::int64_t owner = 0;  ///< Presence::id of the process that answers it
};

/// Remembers that @p push.deployment has a pusher to be answered; once is enough.
void open_push(pqxx::work& work, const OpenPush& push);

/// The pusher knows how it ended, or has left.
void close_push(pqxx::work& work, const std::string& deployment);

/// Those whose owner is gone, in the order of their deployments.
std::vector<OpenPush> list_orphaned_pushes(pqxx::work& work);

/// Whether deployment @p number may move @p ref: no newer one has. Holds the branch until the end
/// of the transaction.
bool claim_branch(pqxx::work& work, const std::string& app_id, const std::string& ref, int number);

}  // namespace karreg::api
