#pragma once
/// Transactional outbox: news is written in the transaction of the change it tells about, and
/// published after the commit.

#include <chrono>
#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <string>

#include "common/broker/publisher.hpp"
#include "common/db/database.hpp"
#include "common/db/listener.hpp"

namespace karreg::db {

/// Adds a message for the exchange `karreg` to the transaction @p work.
void outbox_add(pqxx::work& work, const std::string& routing_key, const std::string& body);
/// The same for a log stream: a line about a change is as sure as the change.
void outbox_add_to_stream(pqxx::work& work, const std::string& stream, const std::string& body);

/// Publishes what is in the outbox, in order, and deletes it once the broker confirmed. Any number
/// of processes may run one: one of them publishes at a time.
class OutboxRelay {
 public:
  /// @p patience: how long one try waits for the broker, with the rows locked.
  OutboxRelay(const std::string& url, broker::Publisher& publisher,
              std::chrono::milliseconds patience = std::chrono::seconds(5));
  /// Stops after the batch in hand.
  void stop();

 private:
  using Confirm = std::shared_future<Result<void>>;
  void drain();
  Result<std::size_t> drain_some(pqxx::work& work);
  /// The confirm of a row, published unless it is on its way already.
  Result<Confirm> confirm_of(const pqxx::row& row);
  void forget_settled(const pqxx::result& rows);

  Database database_;
  broker::Publisher& publisher_;
  std::chrono::milliseconds patience_;
  /// Rows that the publisher has and may not have confirmed yet, by id. Of the listener's thread.
  std::map<std::int64_t, Confirm> in_flight_;
  Listener listener_;
};

}  // namespace karreg::db
