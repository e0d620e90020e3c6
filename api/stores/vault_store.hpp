#pragma once
/// The platform's key: who may make it.

#include "common/crypto/vault.hpp"
#include "common/db/database.hpp"

namespace karreg::api {

/// The vault of the key in @p key_file. The API is the one that seals, so it makes the key of a new
/// platform, and only then: under another key nothing would open that the database holds, and no
/// instance with an environment would come back. Error `not_found`, with the way out, when the file
/// is gone and the database holds sealed values.
Result<crypto::Vault> open_vault(db::Database& database, const std::string& key_file);

}  // namespace karreg::api
