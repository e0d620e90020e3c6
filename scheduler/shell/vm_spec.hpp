#pragma once

#include "common/crypto/vault.hpp"
#include "common/wire/catalogue.hpp"
#include "scheduler/shell/settings.hpp"
#include "scheduler/shell/stores.hpp"

namespace karreg::scheduler {

/// The VM of an instance: the image that its version was built for, the rest from the catalogue,
/// commands from the plan, environment from the plan's defaults, the owner (who wins over them) and
/// the platform (which wins over all). Error `not_found` when the catalogue lacks the runtime,
/// `invalid` when the sealed environment does not open.
Result<wire::VmSpec> make_vm_spec(const InstanceRow& row, const wire::Catalogue& catalogue,
                                  const crypto::Vault& vault, const Settings& settings);

/// The specifications of all that should run on a host. One that cannot be made is marked as failed
/// where its deployment sees it; but if its agent has it already, it is listed by its id, which is
/// all that the agent looks at: to leave it out would stop what runs.
std::vector<wire::VmSpec> specify(pqxx::work& work, const std::string& host_id,
                                  const wire::Catalogue& catalogue, const crypto::Vault& vault,
                                  const Settings& settings);

}  // namespace karreg::scheduler
