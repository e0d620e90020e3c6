#include "common/db/outbox.hpp"

#include <future>

#include "common/log.hpp"

namespace karreg::db {

using namespace std::chrono_literals;

void outbox_add(pqxx::work& work, const std::string& routing_key, const std::string& body) {
  work.exec_params0("INSERT INTO outbox (routing_key, body) VALUES ($1, $2)", routing_key, body);
}

OutboxRelay::OutboxRelay(std::string url, broker::Publisher& publisher)
    : database_(url, 1),
      publisher_(publisher),
      listener_(url, "outbox", 1000ms, [this] { drain(); }) {}

void OutboxRelay::stop() {
  listener_.stop();
}

void OutboxRelay::drain() {
  for (bool more = true; more;) {
    auto sent = database_.transact([&](pqxx::work& work) -> Result<std::size_t> {
      const auto rows = work.exec(
          "SELECT id, routing_key, body FROM outbox ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED");
      std::vector<std::future<Result<void>>> confirms;
      for (const auto& row : rows) {
        auto promise = std::make_shared<std::promise<Result<void>>>();
        confirms.push_back(promise->get_future());
        auto queued =
            publisher_.publish(row[1].as<std::string>(), row[2].as<std::string>(),
                               [promise](Result<void> r) { promise->set_value(std::move(r)); });
        if (!queued) return queued.error();
      }
      for (auto& confirm : confirms) {
        // The rows stay when the broker is away; what it took meanwhile comes twice, which
        // consumers bear.
        if (confirm.wait_for(5s) != std::future_status::ready)
          return Error(ErrorKind::unavailable, "the broker did not confirm in time");
        auto result = confirm.get();
        if (!result) return result.error();
      }
      for (const auto& row : rows)
        work.exec_params0("DELETE FROM outbox WHERE id = $1", row[0].as<std::int64_t>());
      return rows.size();
    });
    if (!sent) log::warn("news waits in the outbox", {log::field("why", sent.error().message())});
    more = sent && *sent == 100;
  }
}

}  // namespace karreg::db
