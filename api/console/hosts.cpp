#include "api/console/console.hpp"
#include "api/stores/hosts_store.hpp"

namespace karreg::api::console {

namespace {

Result<Answer> hosts(const Call&, pqxx::work& work) {
  nlohmann::json all = nlohmann::json::array();
  for (const Host& host : list_hosts(work))
    all.push_back({{"id", host.id},
                   {"accelerator", host.accelerator},
                   {"accelerator_detail", host.accelerator_detail},
                   {"memory_mb", host.memory_mb},
                   {"vcpus", host.vcpus},
                   {"builds", host.builds},
                   {"last_seen_ms", host.last_seen_ms},
                   {"silent_ms", host.silent_ms}});
  return Answer{200, std::move(all), {}};
}

}  // namespace

void add_hosts(Routes& routes) {
  routes.add("GET", "/v1/hosts", hosts);
}

}  // namespace karreg::api::console
