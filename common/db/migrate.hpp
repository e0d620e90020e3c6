#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "common/error.hpp"

namespace karreg::db {

/// One step of the schema: a file of common/db/migrations.
struct Migration {
  std::string name;
  std::string sql;
};

/// All steps in order, as compiled in.
const std::vector<Migration>& migrations();

/// Brings the database at @p url to the newest schema; safe from many processes at once. Error
/// `conflict` when an applied step was changed since, `unavailable` when the database does not
/// answer within @p patience.
Result<void> migrate(const std::string& url, std::chrono::seconds patience,
                     const std::vector<Migration>& steps = migrations());

}  // namespace karreg::db
