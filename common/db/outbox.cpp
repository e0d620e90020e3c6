#include "common/db/outbox.hpp"

#include <set>

#include "common/log.hpp"

namespace karreg::db {

using namespace std::chrono_literals;

namespace {
/// "karregOB": the lock of the relay that publishes.
constexpr std::int64_t relay_lock = 0x6b61727265674f42;
}  // namespace

void outbox_add(pqxx::work& work, const std::string& routing_key, const std::string& body) {
  work.exec_params0("INSERT INTO outbox (routing_key, body) VALUES ($1, $2)", routing_key, body);
}

void outbox_add_to_stream(pqxx::work& work, const std::string& stream, const std::string& body) {
  work.exec_params0("INSERT INTO outbox (routing_key, is_stream, body) VALUES ($1, true, $2)",
                    stream, body);
}

OutboxRelay::OutboxRelay(const std::string& url, broker::Publisher& publisher,
                         std::chrono::milliseconds patience)
    : database_(url, 1),
      publisher_(publisher),
      patience_(patience),
      listener_(url, "outbox", 1000ms, [this] { drain(); }) {}

void OutboxRelay::stop() {
  listener_.stop();
}

Result<OutboxRelay::Confirm> OutboxRelay::confirm_of(const pqxx::row& row) {
  const auto id = row[0].as<std::int64_t>();
  if (const auto known = in_flight_.find(id); known != in_flight_.end()) return known->second;
  auto promise = std::make_shared<std::promise<Result<void>>>();
  Confirm confirm = promise->get_future().share();
  const auto done = [promise](Result<void> r) { promise->set_value(std::move(r)); };
  auto queued =
      row[3].as<bool>()
          ? publisher_.publish_to_stream(row[1].as<std::string>(), row[2].as<std::string>(), done)
          : publisher_.publish(row[1].as<std::string>(), row[2].as<std::string>(), done);
  if (!queued) return queued.error();
  in_flight_.emplace(id, confirm);
  return confirm;
}

void OutboxRelay::forget_settled(const pqxx::result& rows) {
  std::set<std::int64_t> present;
  for (const auto& row : rows) present.insert(row[0].as<std::int64_t>());
  // Deleted, or in the hands of another process.
  std::erase_if(in_flight_, [&](const auto& entry) {
    return !present.contains(entry.first) && entry.second.wait_for(0s) == std::future_status::ready;
  });
}

Result<std::size_t> OutboxRelay::drain_some(pqxx::work& work) {
  // One relay at a time, or the lines of a log and the versions of the routes would overtake one
  // another. Whoever waits here finds what was committed meanwhile.
  work.exec1("SELECT pg_advisory_xact_lock(" + std::to_string(relay_lock) + ")");
  const auto rows =
      work.exec("SELECT id, routing_key, body, is_stream FROM outbox ORDER BY id LIMIT 100");
  forget_settled(rows);
  std::vector<Confirm> confirms;
  for (const auto& row : rows) {
    auto confirm = confirm_of(row);
    if (!confirm) return confirm.error();
    confirms.push_back(*confirm);
  }
  const auto deadline = std::chrono::steady_clock::now() + patience_;
  for (const auto& confirm : confirms) {
    // The rows stay when the broker is away, and what the publisher has of them stays with it.
    if (confirm.wait_until(deadline) != std::future_status::ready)
      return Error(ErrorKind::unavailable, "the broker did not confirm in time");
    if (!confirm.get()) {
      // The publisher has given all of them up.
      in_flight_.clear();
      return confirm.get().error();
    }
  }
  for (const auto& row : rows)
    work.exec_params0("DELETE FROM outbox WHERE id = $1", row[0].as<std::int64_t>());
  return rows.size();
}

void OutboxRelay::drain() {
  for (bool more = true; more;) {
    auto sent = database_.transact([this](pqxx::work& work) { return drain_some(work); });
    if (!sent) log::warn("news waits in the outbox", {log::field("why", sent.error().message())});
    more = sent && *sent == 100;
  }
}

}  // namespace karreg::db
