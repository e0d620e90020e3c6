#include "api/stores/hosts_store.hpp"

namespace karreg::api {

std::vector<Host> list_hosts(pqxx::work& work) {
  std::vector<Host> all;
  for (const auto& row :
       work.exec("SELECT id, accelerator, accelerator_detail, memory_mb, vcpus, builds, "
                 "(extract(epoch FROM last_seen) * 1000)::bigint, "
                 "(extract(epoch FROM greatest(now() - last_seen, interval '0')) * 1000)::bigint "
                 "FROM hosts ORDER BY id"))
    all.push_back({row[0].as<std::string>(), row[1].as<std::string>(), row[2].as<std::string>(),
                   row[3].as<std::int64_t>(), row[4].as<int>(), row[5].as<bool>(),
                   row[6].as<std::int64_t>(), row[7].as<std::int64_t>()});
  return all;
}

}  // namespace karreg::api
