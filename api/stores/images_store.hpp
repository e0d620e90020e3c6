#pragma once
/// Apps on older images, and rolls, which bring them onto newer ones (docs/updates.md). Every
/// function works in the caller's transaction.

#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "api/core/model.hpp"

namespace karreg::api {

/// The apps of an organisation whose version in service runs on another image than the catalogue
/// names, by name.
std::vector<OutdatedApp> outdated_apps(pqxx::work& work, const std::string& org_id);

/// That owners were told of newer images, after @p since_ms, the oldest first; at most a thousand,
/// the newest.
std::vector<ImageNews> image_news_since(pqxx::work& work, std::int64_t since_ms);

/// What a roll is to be.
struct RollRequest {
  std::string org_id;
  std::string author;
  std::vector<std::string> apps;  ///< ids, each of the organisation; empty: those that are outdated
  int wave_size = 5;
};
/// Records a roll and wakes the scheduler. Error `conflict`: the organisation has one that runs, or
/// no app that is outdated; `not_found`: an app is none of the organisation.
Result<Roll> request_roll(pqxx::work& work, const RollRequest& request);
/// Newest first.
std::vector<Roll> list_rolls(pqxx::work& work, const std::string& org_id);
/// Error `not_found`.
Result<Roll> get_roll(pqxx::work& work, const std::string& org_id, const std::string& id);
/// Asks for its end. Error `conflict` when it is over.
Result<void> cancel_roll(pqxx::work& work, const Roll& roll);

}  // namespace karreg::api
