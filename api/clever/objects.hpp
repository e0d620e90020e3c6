#pragma once
/// The objects of the Clever-shaped API as JSON, as clever-tools reads them (tests/conformance):
/// pure functions from the core model.

#include "api/core/model.hpp"
#include "api/settings.hpp"
#include "common/json.hpp"

namespace karreg::api::clever {

nlohmann::json user_json(const User& user);
nlohmann::json flavor_json(std::string_view name);
/// One entry of /v2/products/instances.
nlohmann::json instance_type_json(const std::string& slug, const std::string& label);
nlohmann::json app_json(const App& app, const Settings& settings);
nlohmann::json summary_app_json(const App& app);
nlohmann::json deployment_json(const Deployment& deployment);
nlohmann::json instance_json(const Instance& instance);
nlohmann::json job_json(const Job& job);
nlohmann::json outdated_app_json(const OutdatedApp& app);
nlohmann::json roll_json(const Roll& roll);
nlohmann::json v4_deployment_json(const Deployment& deployment);
nlohmann::json v4_instance_json(const Instance& instance);
/// Milliseconds since the epoch as "2026-01-02T03:04:05.678Z".
std::string iso_time(std::int64_t ms);
/// The reverse; nothing for anything that is no such time. Seconds may have a fraction or not.
std::optional<std::int64_t> parse_iso_time(const std::string& text);
/// URL at which a vhost of the platform is visited.
std::string visit_url(const Settings& settings, const Vhost& vhost);

}  // namespace karreg::api::clever
