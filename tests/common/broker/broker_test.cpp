#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <future>
#include <set>

#include "broker_cut.hpp"
#include "common/broker/consumer.hpp"
#include "common/broker/publisher.hpp"
#include "common/broker/stream_reader.hpp"
#include "common/ids.hpp"
#include "support_env.hpp"

using namespace karreg;
using namespace std::chrono_literals;
using broker::Delivery;
using broker::Disposition;

namespace {

broker::Address real() {
  return *broker::parse_address(test::broker_url());
}

/// What came, and a wait for it.
class Seen {
 public:
  void add(const std::string& body) {
    const std::lock_guard lock(mutex_);
    all_.push_back(body);
    changed_.notify_all();
  }
  bool wait(const std::function<bool(const std::vector<std::string>&)>& enough) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 30s, [&] { return enough(all_); });
  }
  std::vector<std::string> all() {
    const std::lock_guard lock(mutex_);
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> all_;
};

broker::QueueSpec queue_for(const std::string& key) {
  return {"test." + ids::uuid(), true, false, false, std::nullopt, {key}};
}

/// Removes a durable queue of the test.
struct Removed {
  explicit Removed(std::string queue) : name(std::move(queue)) {}
  ~Removed() {
    auto connection = broker::Connection::open(real(), 5s);
    if (connection) (void)connection->delete_queue(name);
  }
  std::string name;
};

/// Declares a queue before anything is published to it.
void declare(const broker::QueueSpec& queue) {
  auto connection = broker::Connection::open(real(), 5s);
  REQUIRE(connection);
  REQUIRE(connection->declare_exchanges());
  REQUIRE(connection->declare_queue(queue));
}

/// The first dead letter under @p key; empty when none comes within 10 s. Takes what it reads from
/// there.
std::string first_dead_letter(const std::string& key) {
  auto connection = broker::Connection::open(real(), 5s);
  REQUIRE(connection);
  REQUIRE(connection->consume(broker::dead_queue, 100));
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (std::chrono::steady_clock::now() < until) {
    auto delivery = connection->next(200ms);
    REQUIRE(delivery);
    if (!*delivery) continue;
    REQUIRE(connection->ack((*delivery)->tag));
    if ((*delivery)->routing_key == key) return (*delivery)->body;
  }
  return {};
}

}  // namespace

TEST_CASE("what was confirmed arrives, in order") {
  const std::string key = "test." + ids::uuid();
  const auto queue = queue_for(key);
  const Removed removed(queue.name);
  declare(queue);
  broker::Publisher publisher(real());
  for (int i = 0; i < 200; ++i) REQUIRE(publisher.publish(key, std::to_string(i)));
  REQUIRE(publisher.publish_and_wait(key, "last", 10s));
  Seen seen;
  broker::Consumer consumer(real(), queue, [&](const Delivery& d) {
    seen.add(d.body);
    return Disposition::ack;
  });
  REQUIRE(seen.wait([](const auto& all) { return all.size() >= 201; }));
  CHECK(seen.all().front() == "0");
  CHECK(seen.all().back() == "last");
}

TEST_CASE("nothing is lost when connections are cut again and again") {
  Cut cut(real());
  const std::string key = "test." + ids::uuid();
  const auto queue = queue_for(key);
  const Removed removed(queue.name);
  declare(queue);
  Seen seen;
  broker::Consumer consumer(cut.address(), queue, [&](const Delivery& d) {
    seen.add(d.body);
    return Disposition::ack;
  });
  broker::Publisher publisher(cut.address());
  constexpr int count = 300;
  for (int i = 0; i < count; ++i) {
    REQUIRE(publisher.publish(key, std::to_string(i)));
    if (i % 100 == 50) {
      REQUIRE(seen.wait([&](const auto& all) { return !all.empty() || i < 100; }));
      cut.cut_all();
    }
  }
  // At least once: some may come twice, none may be missing.
  CHECK(seen.wait([](const auto& all) {
    return std::set<std::string>(all.begin(), all.end()).size() == count;
  }));
}

TEST_CASE(
    "a delivery whose handler fails comes again, one that is refused goes to the dead letters") {
  const std::string key = "test." + ids::uuid();
  const auto queue = queue_for(key);
  const Removed removed(queue.name);
  declare(queue);
  broker::Publisher publisher(real());
  std::atomic<int> tries{0};
  Seen seen;
  broker::Consumer consumer(real(), queue, [&](const Delivery& d) -> Disposition {
    if (d.body == "bad") {
      seen.add("refused");
      return Disposition::reject;
    }
    if (++tries < 3) throw std::runtime_error("not now");
    seen.add(d.body);
    return Disposition::ack;
  });
  REQUIRE(publisher.publish_and_wait(key, "good", 10s));
  REQUIRE(publisher.publish_and_wait(key, "bad", 10s));
  REQUIRE(seen.wait([](const auto& all) { return all.size() >= 2; }));
  CHECK(tries == 3);
  CHECK(first_dead_letter(key) == "bad");
}

TEST_CASE("what cannot be handled now is tried again and again, without haste") {
  const std::string key = "test." + ids::uuid();
  const auto queue = queue_for(key);
  const Removed removed(queue.name);
  declare(queue);
  broker::Publisher publisher(real());
  std::mutex mutex;
  std::vector<std::chrono::steady_clock::time_point> calls;
  Seen seen;
  auto consumer =
      std::make_unique<broker::Consumer>(real(), queue, [&](const Delivery& d) -> Disposition {
        const std::lock_guard lock(mutex);
        calls.push_back(std::chrono::steady_clock::now());
        seen.add(d.body);
        return Disposition::later;
      });
  // Several in the queue are no reason to hurry.
  for (int i = 0; i < 10; ++i) REQUIRE(publisher.publish_and_wait(key, std::to_string(i), 10s));
  REQUIRE(seen.wait([](const auto& all) { return all.size() >= 6; }));
  // In the middle of a pause that is longer than this.
  const auto stopping = std::chrono::steady_clock::now();
  consumer->stop();
  CHECK(std::chrono::steady_clock::now() - stopping < 1s);
  for (std::size_t i = 1; i < calls.size(); ++i) CHECK(calls[i] - calls[i - 1] >= 50ms);
  // 50 + 100 + 200 + 400 + 800 ms at least: fewer than 20 a second from the start.
  CHECK(calls[5] - calls[0] >= 1500ms);
  Seen kept;
  const broker::Consumer next(real(), queue, [&](const Delivery& d) {
    kept.add(d.body);
    return Disposition::ack;
  });
  CHECK(kept.wait(
      [](const auto& all) { return std::set<std::string>(all.begin(), all.end()).size() == 10; }));
}

TEST_CASE("a message that fails for another reason does not hold up the others for good") {
  const std::string key = "test." + ids::uuid();
  const auto queue = queue_for(key);
  const Removed removed(queue.name);
  declare(queue);
  broker::Publisher publisher(real());
  std::atomic<int> tries{0};
  Seen seen;
  broker::Consumer consumer(real(), queue, [&](const Delivery& d) -> Disposition {
    seen.add(d.body);
    if (d.body != "poison") return Disposition::ack;
    ++tries;
    return broker::disposition_after(Error(ErrorKind::internal, "it is not for us"));
  });
  REQUIRE(publisher.publish_and_wait(key, "poison", 10s));
  REQUIRE(publisher.publish_and_wait(key, "good", 10s));
  CHECK(seen.wait([](const auto& all) { return std::ranges::find(all, "good") != all.end(); }));
  CHECK(first_dead_letter(key) == "poison");
  CHECK(tries == broker::Consumer::failures_to_reject);
  CHECK(broker::disposition_after(Error(ErrorKind::unavailable, "away")) == Disposition::later);
}

TEST_CASE("of a queue that holds one, the newest is left") {
  const std::string host = ids::uuid();
  const auto queue = broker::host_queue(host);
  const Removed removed(queue.name);
  declare(queue);
  broker::Publisher publisher(real());
  for (int i = 0; i < 20; ++i)
    REQUIRE(publisher.publish_and_wait(broker::key::host_desired(host), std::to_string(i), 10s));
  Seen seen;
  broker::Consumer consumer(real(), queue, [&](const Delivery& d) {
    seen.add(d.body);
    return Disposition::ack;
  });
  REQUIRE(seen.wait([](const auto& all) { return !all.empty(); }));
  CHECK(seen.all() == std::vector<std::string>{"19"});
}

TEST_CASE(
    "a stream is read from its beginning, from a place, and live; a missing one is said to be "
    "missing") {
  const std::string stream = "logs.test." + ids::uuid();
  const Removed removed(stream);
  auto missing = broker::StreamReader::open(real(), stream, {});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().kind() == ErrorKind::not_found);
  broker::Publisher publisher(real());
  std::promise<void> stored;
  for (int i = 0; i < 10; ++i)
    REQUIRE(publisher.publish_to_stream(stream, std::to_string(i), [&, i](Result<void> result) {
      if (i == 9 && result) stored.set_value();
    }));
  REQUIRE(stored.get_future().wait_for(20s) == std::future_status::ready);
  auto reader = broker::StreamReader::open(real(), stream, {});
  REQUIRE(reader);
  const auto next = [](broker::StreamReader& from) {
    const auto until = std::chrono::steady_clock::now() + 10s;
    while (std::chrono::steady_clock::now() < until) {
      auto delivery = from.next(200ms);
      REQUIRE(delivery);
      if (*delivery) return **delivery;
    }
    return Delivery{};
  };
  for (int i = 0; i < 10; ++i) {
    const Delivery delivery = next(*reader);
    CHECK(delivery.body == std::to_string(i));
    CHECK(delivery.stream_offset == i);
  }
  auto later = broker::StreamReader::open(real(), stream, {broker::StreamStart::At::offset, 7, 0});
  REQUIRE(later);
  CHECK(next(*later).body == "7");
  REQUIRE(publisher.publish_to_stream(stream, "live"));
  CHECK(next(*reader).body == "live");
}

TEST_CASE("a stream of an older version, with other arguments, takes lines and holds up nothing") {
  const std::string stream = "logs.test." + ids::uuid();
  const std::string key = "test." + ids::uuid();
  const auto queue = queue_for(key);
  const Removed removed(stream);
  const Removed removed_queue(queue.name);
  declare(queue);
  auto older = broker::Connection::open(real(), 5s);
  REQUIRE(older);
  REQUIRE(older->declare_stream(stream, "1D"));
  CHECK(older->declare_stream(stream, "2D").error().kind() == ErrorKind::conflict);
  broker::Publisher publisher(real());
  REQUIRE(publisher.publish_to_stream(stream, "line"));
  REQUIRE(publisher.publish_and_wait(key, "news", 20s));
  auto reader = broker::StreamReader::open(real(), stream, {});
  REQUIRE(reader);
  std::optional<Delivery> line;
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (!line && std::chrono::steady_clock::now() < until) {
    auto delivery = reader->next(200ms);
    REQUIRE(delivery);
    line = *delivery;
  }
  REQUIRE(line);
  CHECK(line->body == "line");
}

TEST_CASE("a bounded queue drops old news, which is no dead letter; what is refused is one") {
  const std::string key = "test." + ids::uuid();
  auto queue = queue_for(key);
  queue.max_length = 3;
  const std::string old_name = "test." + ids::uuid();
  queue.replaces = {old_name};
  const Removed removed(queue.name);
  auto old = queue_for(key);
  old.name = old_name;
  declare(old);
  declare(queue);
  broker::Publisher publisher(real());
  for (int i = 0; i < 10; ++i) REQUIRE(publisher.publish_and_wait(key, std::to_string(i), 10s));
  Seen seen;
  broker::Consumer consumer(real(), queue, [&](const Delivery& d) {
    seen.add(d.body);
    return Disposition::reject;
  });
  REQUIRE(seen.wait([](const auto& all) { return all.size() >= 3; }));
  CHECK(seen.all() == std::vector<std::string>{"7", "8", "9"});
  // Those that were dropped would have come first.
  CHECK(first_dead_letter(key) == "7");
  auto connection = broker::Connection::open(real(), 5s);
  REQUIRE(connection);
  CHECK(connection->consume(old_name, 1).error().kind() == ErrorKind::not_found);
}

TEST_CASE(
    "a publisher whose broker is away keeps a bounded number of messages and says when it is "
    "full") {
  broker::Address nowhere = real();
  nowhere.port = 1;
  broker::Publisher publisher(nowhere, 3);
  for (int i = 0; i < 3; ++i) CHECK(publisher.publish("k", "x"));
  auto full = publisher.publish("k", "x");
  REQUIRE_FALSE(full);
  CHECK(full.error().kind() == ErrorKind::unavailable);
  CHECK_THAT(full.error().message(), Catch::Contains("3 messages wait"));
}
