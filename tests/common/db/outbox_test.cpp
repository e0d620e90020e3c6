#include "common/db/outbox.hpp"

#include <catch2/catch.hpp>
#include <condition_variable>

#include "common/broker/consumer.hpp"
#include "common/db/migrate.hpp"
#include "schema.hpp"

using namespace karreg;
using namespace std::chrono_literals;

namespace {

/// Collects what is published under one routing key.
class Inbox {
 public:
  explicit Inbox(const std::string& key)
      : consumer_(
            *broker::parse_address(test::broker_url()),
            {"test." + ids::uuid(), false, true, false, std::nullopt, {key}},
            [this](const broker::Delivery& delivery) {
              const std::lock_guard lock(mutex_);
              bodies_.push_back(delivery.body);
              changed_.notify_all();
              return broker::Disposition::ack;
            },
            [this] {
              const std::lock_guard lock(mutex_);
              connected_ = true;
              changed_.notify_all();
            }) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, 10s, [this] { return connected_; }));
  }
  std::vector<std::string> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 10s, [&] { return bodies_.size() >= count; });
    return bodies_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> bodies_;
  bool connected_ = false;
  broker::Consumer consumer_;
};

}  // namespace

TEST_CASE("news is published after the commit, in order, and not at all after a rollback") {
  test::Schema schema;
  REQUIRE(db::migrate(schema.url, 10s));
  const std::string key = "test." + ids::uuid();
  Inbox inbox(key);
  broker::Publisher publisher(*broker::parse_address(test::broker_url()));
  db::OutboxRelay relay(schema.url, publisher);
  db::Database database(schema.url);
  REQUIRE(database.transact([&](pqxx::work& work) -> Result<void> {
    db::outbox_add(work, key, "one");
    db::outbox_add(work, key, "two");
    return ok();
  }));
  CHECK_FALSE(database.transact([&](pqxx::work& work) -> Result<void> {
    db::outbox_add(work, key, "never");
    return Error(ErrorKind::invalid, "rolled back");
  }));
  REQUIRE(database.transact([&](pqxx::work& work) -> Result<void> {
    db::outbox_add(work, key, "three");
    return ok();
  }));
  CHECK(inbox.wait_for(3) == std::vector<std::string>{"one", "two", "three"});
  const auto empty = [](pqxx::work& work) -> Result<bool> {
    return work.exec("SELECT 1 FROM outbox").empty();
  };
  const auto until = std::chrono::steady_clock::now() + 10s;
  bool drained = false;
  while (!drained && std::chrono::steady_clock::now() < until) drained = *database.transact(empty);
  CHECK(drained);
  relay.stop();
}
