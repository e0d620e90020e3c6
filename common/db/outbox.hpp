#pragma once
/// Transactional outbox: news is written in the transaction of the change it tells about, and
/// published after the commit.

#include <memory>
#include <string>

#include "common/broker/publisher.hpp"
#include "common/db/database.hpp"
#include "common/db/listener.hpp"

namespace karreg::db {

/// Adds a message for the exchange `karreg` to the transaction @p work.
void outbox_add(pqxx::work& work, const std::string& routing_key, const std::string& body);

/// Publishes what is in the outbox, in order, and deletes it once the broker confirmed. Any number
/// of processes may run one: rows are locked while they are published.
class OutboxRelay {
 public:
  OutboxRelay(std::string url, broker::Publisher& publisher);
  /// Stops after the batch in hand.
  void stop();

 private:
  void drain();
  Database database_;
  broker::Publisher& publisher_;
  Listener listener_;
};

}  // namespace karreg::db
