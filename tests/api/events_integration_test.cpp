// Events over a WebSocket, against a real karreg-api, database and broker; the test plays the
// scheduler, which tells the broker.
#include <ctime>

#include "common/broker/broker_cut.hpp"
#include "common/broker/publisher.hpp"
#include "common/broker/topology.hpp"
#include "common/wire/json.hpp"
#include "common/wire/news.hpp"
#include "support/an_api.hpp"
#include "support/websocket_client.hpp"

using namespace karreg;
using namespace karreg::test;
using namespace std::chrono_literals;

namespace {

const std::string place = "/v2/events/event-socket";

std::string first_frame(const std::string& authorization) {
  return Json({{"message_type", "oauth"}, {"authorization", authorization}}).dump();
}

/// The next frame that is no heartbeat; heartbeats are answered.
std::optional<Json> heard(WebSocketClient& client) {
  for (int i = 0; i < 10; ++i) {
    auto frame = client.next();
    if (!frame || frame->opcode != 1) return std::nullopt;
    Json json = Json::parse(frame->payload);
    if (!json.contains("heartbeat_msg")) return json;
    CHECK(json ==
          Json({{"type", "heartbeat"}, {"heartbeat_msg", "ping"}, {"heartbeat_delay_ms", 5000}}));
    client.send(R"({"type":"heartbeat","heartbeat_msg":"pong"})");
  }
  return std::nullopt;
}

void enter(WebSocketClient& client, const std::string& authorization) {
  REQUIRE(client.open());
  client.send(first_frame(authorization));
  const auto ready = heard(client);
  REQUIRE(ready);
  CHECK(*ready == Json({{"message_type", "socket_ready"}}));
}

/// As clients sign it: not for the address of the socket.
std::string signed_for_events(const User& user, const std::string& url) {
  return user.hmac(url + "/v2/events/", ids::uuid(), std::time(nullptr));
}

/// A deployment that begins or ends, in the database and, unless told otherwise, in the news.
class PlayedScheduler {
 public:
  PlayedScheduler(AnApi& api, broker::Address broker) : api_(api), publisher_(std::move(broker)) {}
  ~PlayedScheduler() { publisher_.stop(1s); }

  void begins(const std::string& uuid) {
    api_.database().query(
        "UPDATE deployments SET phase = 'building', phase_since = now() WHERE "
        "uuid = '" +
        uuid + "'");
    tell("DEPLOYMENT_ACTION_BEGIN", uuid);
  }
  void ends(const std::string& uuid, bool told = true) {
    api_.database().query(
        "UPDATE deployments SET state = 'OK', phase = 'ended', phase_since = "
        "now(), ended_at = now() WHERE uuid = '" +
        uuid + "'");
    if (told) tell("DEPLOYMENT_ACTION_END", uuid);
  }
  void tell(const std::string& event, const std::string& uuid) {
    const auto row = api_.database().query(
        "SELECT app_id, number, state, phase, action, commit_id, cause FROM deployments WHERE uuid "
        "= '" +
        uuid + "'")[0];
    wire::PlatformEvent news;
    news.event = event;
    news.time_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
    news.app_id = row[0].as<std::string>();
    news.deployment_uuid = uuid;
    news.deployment_number = row[1].as<int>();
    news.state = row[2].as<std::string>();
    news.phase = row[3].as<std::string>();
    news.action = row[4].as<std::string>();
    news.commit = row[5].as<std::string>();
    news.cause = row[6].as<std::string>();
    REQUIRE(publisher_.publish_and_wait(broker::key::api_event, wire::to_text(news), 10s));
  }

 private:
  AnApi& api_;
  broker::Publisher publisher_;
};

std::string deploy(const AnApi& api, const User& user, const std::string& app) {
  return api.good(
      user, "POST",
      "/v2/self/applications/" + app + "/instances?commit=" + api.make_commit(app))["deploymentId"];
}

}  // namespace

TEST_CASE("a deployment's beginning and end are told to those who may see it, once") {
  AnApi api("events");
  const User ann = api.make_user("ann@example.org");
  const User bob = api.make_user("bob@example.org");
  const std::string shop = api.make_app(ann, "shop");
  const std::string blog = api.make_app(bob, "blog");
  WebSocketClient by_plaintext(api.port(), place);
  WebSocketClient by_hmac(api.port(), place);
  WebSocketClient by_bearer(api.port(), place);
  enter(by_plaintext, ann.plaintext());
  enter(by_hmac, signed_for_events(ann, api.url()));
  enter(by_bearer, bob.bearer());

  PlayedScheduler scheduler(api, test_broker());
  const std::string uuid = deploy(api, ann, shop);
  scheduler.begins(uuid);
  scheduler.tell("DEPLOYMENT_ACTION_BEGIN", uuid);
  scheduler.tell("DEPLOYMENT_PHASE", uuid);
  scheduler.ends(uuid);
  for (auto* client : {&by_plaintext, &by_hmac}) {
    auto begin = heard(*client);
    REQUIRE(begin);
    CHECK((*begin)["event"] == "DEPLOYMENT_ACTION_BEGIN");
    CHECK((*begin)["date"].is_number_integer());
    Json data = Json::parse((*begin)["data"].get<std::string>());
    CHECK(data == Json({{"appId", shop},
                        {"id", 1},
                        {"uuid", uuid},
                        {"state", "WIP"},
                        {"action", "DEPLOY"},
                        {"commit", api.make_commit(shop)},
                        {"cause", "Restart"}}));
    auto end = heard(*client);
    REQUIRE(end);
    CHECK((*end)["event"] == "DEPLOYMENT_ACTION_END");
    data = Json::parse((*end)["data"].get<std::string>());
    CHECK(data["state"] == "OK");
  }
  // The first that Bob hears of is his own.
  const std::string own = deploy(api, bob, blog);
  scheduler.begins(own);
  auto begin = heard(by_bearer);
  REQUIRE(begin);
  CHECK(Json::parse((*begin)["data"].get<std::string>())["appId"] == blog);

  // A server that ends says so.
  CHECK(api.stop() == 0);
  std::optional<WebSocketClient::Frame> last;
  while (auto frame = by_hmac.next()) last = frame;
  REQUIRE(last);
  CHECK(last->opcode == 8);
  CHECK(last->code() == 1001);
}

TEST_CASE("that an app runs on an older image is told once, also when the broker lost it") {
  Cut between(test_broker());
  AnApi api("image_news", {}, between.address());
  const User ann = api.make_user("ann@example.org");
  const User bob = api.make_user("bob@example.org");
  const std::string shop = api.make_app(ann, "shop");
  const std::string blog = api.make_app(bob, "blog");
  WebSocketClient client(api.port(), place);
  enter(client, ann.bearer());
  const auto outdate = [&](const std::string& app, const std::string& image) {
    api.database().query("INSERT INTO image_news (app_id, runtime, image, old_image) VALUES ('" +
                         app + "', 'node', '" + image + "', 'one')");
  };
  broker::Publisher publisher(test_broker());
  wire::PlatformEvent news;
  news.event = "IMAGE_OUTDATED";
  news.time_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                     std::chrono::system_clock::now().time_since_epoch())
                     .count();
  news.app_id = shop;
  news.runtime = "node";
  news.image = "two";
  news.old_image = "one";
  outdate(shop, "two");
  for (int times = 0; times < 2; ++times)
    REQUIRE(publisher.publish_and_wait(broker::key::api_event, wire::to_text(news), 10s));
  auto told = heard(client);
  REQUIRE(told);
  CHECK((*told)["event"] == "IMAGE_OUTDATED");
  CHECK(Json::parse((*told)["data"].get<std::string>()) ==
        Json({{"appId", shop}, {"runtime", "node"}, {"image", "one"}, {"newImage", "two"}}));

  outdate(blog, "three");
  outdate(shop, "three");
  between.cut_all();
  auto late = heard(client);
  REQUIRE(late);
  const Json data = Json::parse((*late)["data"].get<std::string>());
  CHECK(data["appId"] == shop);
  CHECK(data["newImage"] == "three");
  publisher.stop(1s);
}

TEST_CASE("what the broker lost is caught up with from the database") {
  Cut between(test_broker());
  AnApi api("lost", {}, between.address());
  const User ann = api.make_user("ann@example.org");
  const std::string uuid = deploy(api, ann, api.make_app(ann, "shop"));
  WebSocketClient client(api.port(), place);
  enter(client, ann.bearer());
  PlayedScheduler scheduler(api, test_broker());
  scheduler.begins(uuid);
  auto begin = heard(client);
  REQUIRE(begin);
  CHECK((*begin)["event"] == "DEPLOYMENT_ACTION_BEGIN");

  scheduler.ends(uuid, false);
  between.cut_all();
  auto end = heard(client);
  REQUIRE(end);
  CHECK((*end)["event"] == "DEPLOYMENT_ACTION_END");
  CHECK(Json::parse((*end)["data"].get<std::string>())["uuid"] == uuid);
  // The news that comes late is none any more: what is heard next is the next deployment.
  scheduler.tell("DEPLOYMENT_ACTION_END", uuid);
  const std::string second =
      deploy(api, ann, Json::parse((*end)["data"].get<std::string>())["appId"]);
  scheduler.begins(second);
  auto next = heard(client);
  REQUIRE(next);
  CHECK(Json::parse((*next)["data"].get<std::string>())["uuid"] == second);
}

TEST_CASE("who does not say who they are, or cannot, is told and sent away") {
  AnApi api("strangers");
  const User ann = api.make_user("ann@example.org");
  struct Case {
    const char* what;
    std::string frame;
    std::string message;
  };
  for (const auto& c : {
           Case{"no JSON", "hello",
                R"(the first frame must be {"message_type":"oauth","authorization":"OAuth ..."})"},
           Case{
               "an unknown token", first_frame("Bearer nobody"),
               "these credentials are not valid: sign in again, or check the token and its secret"},
           Case{"an unknown scheme", first_frame("Magic wand"),
                "the Authorization header must be OAuth, Bearer or Basic"},
           Case{"signed for another address", first_frame(signed_for_events(ann, "https://x.org")),
                "the OAuth signature is wrong: check the token and its secret"},
       }) {
    INFO(c.what);
    WebSocketClient client(api.port(), place);
    REQUIRE(client.open());
    client.send(c.frame);
    auto error = client.next();
    REQUIRE(error);
    CHECK(Json::parse(error->payload) ==
          Json({{"type", "error"}, {"id", 2001}, {"message", c.message}}));
    auto end = client.next();
    REQUIRE(end);
    CHECK(end->opcode == 8);
    CHECK(end->code() == 1008);
  }
  WebSocketClient big(api.port(), place);
  big.send(std::string(20'000, 'x'));
  auto end = big.next();
  REQUIRE(end);
  CHECK(end->code() == 1009);
  CHECK(api.call("", "GET", place).status == 400);
}

TEST_CASE("who keeps silent is sent away: before the credentials, and as a heartbeat comes") {
  AnApi api("silence");
  const User ann = api.make_user("ann@example.org");
  WebSocketClient stranger(api.port(), place);
  WebSocketClient sleeper(api.port(), place);
  enter(sleeper, ann.bearer());
  auto error = stranger.next(15s);
  REQUIRE(error);
  CHECK(Json::parse(error->payload)["message"] == "no credentials came within ten seconds");
  std::optional<WebSocketClient::Frame> last;
  while (auto frame = sleeper.next(15s)) {
    last = frame;
    if (frame->opcode == 8) break;
  }
  REQUIRE(last);
  CHECK(last->opcode == 8);
  CHECK(last->reason() == "the heartbeats were not answered");
}
