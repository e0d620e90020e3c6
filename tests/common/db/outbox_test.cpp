#include "common/db/outbox.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "../broker/broker_cut.hpp"
#include "common/broker/stream_reader.hpp"
#include "common/db/migrate.hpp"
#include "schema.hpp"
#include "support/inbox.hpp"

using namespace karreg;
using namespace std::chrono_literals;

TEST_CASE("news is published after the commit, in order, and not at all after a rollback") {
  test::Schema schema;
  REQUIRE(db::migrate(schema.url, 10s));
  const std::string key = "test." + ids::uuid();
  test::Inbox inbox(*broker::parse_address(test::broker_url()), key);
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
  test::Inbox inbox(*broker::parse_address(test::broker_url()), key);
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
