#include "common/db/outbox.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <condition_variable>

#include "../broker/broker_cut.hpp"
#include "common/broker/consumer.hpp"
#include "common/broker/stream_reader.hpp"
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
  /// What came up to and including @p body; the test fails when that does not come.
  std::vector<std::string> wait_for(const std::string& body) {
    std::unique_lock lock(mutex_);
    REQUIRE(
        changed_.wait_for(lock, 30s, [&] { return !bodies_.empty() && bodies_.back() == body; }));
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

TEST_CASE("however long the broker is away, what waits for it comes once, or twice") {
  test::Schema schema;
  REQUIRE(db::migrate(schema.url, 10s));
  const std::string key = "test." + ids::uuid();
  Inbox inbox(key);
  Cut cut(*broker::parse_address(test::broker_url()));
  db::Database database(schema.url);
  const auto tell = [&](const std::string& news) {
    REQUIRE(database.transact([&](pqxx::work& work) -> Result<void> {
      db::outbox_add(work, key, news);
      return ok();
    }));
  };
  cut.go_away();
  broker::Publisher publisher(cut.address());
  // Tries about once a second: each of them fails while the broker is away.
  db::OutboxRelay relay(schema.url, publisher, 200ms);
  for (const auto* news : {"one", "two", "three"}) tell(news);
  // The publisher's own tries come ever more slowly: eight take some eight seconds at least.
  REQUIRE(cut.wait_refused(8, 60s));
  cut.come_back();
  tell("last");
  const auto all = inbox.wait_for("last");
  for (const auto* news : {"one", "two", "three"}) {
    CHECK(std::ranges::count(all, news) >= 1);
    CHECK(std::ranges::count(all, news) <= 2);
  }
  relay.stop();
}

TEST_CASE("a line for a log is there once its change is, also when the writer dies after it") {
  test::Schema schema;
  REQUIRE(db::migrate(schema.url, 10s));
  const auto address = *broker::parse_address(test::broker_url());
  const std::string stream = "logs.test." + ids::uuid();
  db::Database database(schema.url);
  // Written while no relay runs: that of whoever comes next publishes it.
  REQUIRE(database.transact([&](pqxx::work& work) -> Result<void> {
    db::outbox_add_to_stream(work, stream, "Deployment 1 begins");
    db::outbox_add_to_stream(work, stream, "Successfully deployed");
    return ok();
  }));
  broker::Publisher publisher(address);
  db::OutboxRelay relay(schema.url, publisher);
  std::vector<std::string> lines;
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  std::optional<broker::StreamReader> reader;
  while (lines.size() < 2) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    if (!reader) {
      auto opened = broker::StreamReader::open(address, stream, {});
      if (opened) reader = std::move(*opened);
      continue;
    }
    auto delivery = reader->next(1s);
    REQUIRE(delivery);
    if (*delivery) lines.push_back((*delivery)->body);
  }
  CHECK(lines == std::vector<std::string>{"Deployment 1 begins", "Successfully deployed"});
  REQUIRE(publisher.delete_queue(stream));
  relay.stop();
  publisher.stop(5s);
}
