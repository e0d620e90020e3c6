// The frames of an events socket, and when each is due.
#include "api/clever/event_conversation.hpp"

#include <catch2/catch.hpp>

#include "api/events/hub.hpp"
#include "common/json.hpp"

using namespace karreg;
using namespace karreg::api;
using namespace karreg::api::clever;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

const EventConversation::Time start{1h};

wire::PlatformEvent an_end() {
  wire::PlatformEvent event;
  event.event = "DEPLOYMENT_ACTION_END";
  event.time_ms = 1'700'000'000'123;
  event.app_id = "app_1";
  event.deployment_uuid = "deployment_1";
  event.deployment_number = 7;
  event.state = "OK";
  event.phase = "ended";
  event.action = "DEPLOY";
  event.commit = "0123";
  event.cause = "Git push";
  return event;
}

EventConversation an_open_conversation() {
  EventConversation conversation(start);
  conversation.admit(start);
  const auto first = conversation.step(start);
  REQUIRE(first.frames.size() == 2);
  CHECK(first.frames[0] == R"({"message_type":"socket_ready"})");
  CHECK(first.frames[1] ==
        R"({"heartbeat_delay_ms":5000,"heartbeat_msg":"ping","type":"heartbeat"})");
  CHECK_FALSE(first.goodbye);
  return conversation;
}

}  // namespace

TEST_CASE("a newer image is told with the app, its runtime and both images") {
  wire::PlatformEvent event;
  event.event = "IMAGE_OUTDATED";
  event.time_ms = 5;
  event.app_id = "app_1";
  event.runtime = "node";
  event.image = "two";
  event.old_image = "one";
  const auto frame = event_frame(event);
  REQUIRE(frame);
  const json parsed = json::parse(*frame);
  CHECK(parsed["event"] == "IMAGE_OUTDATED");
  CHECK(parsed["date"] == 5);
  CHECK(json::parse(parsed["data"].get<std::string>()) ==
        json({{"appId", "app_1"}, {"runtime", "node"}, {"image", "one"}, {"newImage", "two"}}));
}

TEST_CASE("the first frame of a client holds its credentials, or is refused") {
  CHECK(authorization_of(R"({"message_type":"oauth","authorization":"Bearer x"})").value() ==
        "Bearer x");
  for (const auto* bad :
       {"", "nonsense", "[]", "5", "{}", R"({"message_type":"oauth"})",
        R"({"message_type":"other","authorization":"Bearer x"})",
        R"({"message_type":"oauth","authorization":5})", R"({"message_type":5})"}) {
    INFO(bad);
    auto refused = authorization_of(bad);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message() ==
          R"(the first frame must be {"message_type":"oauth","authorization":"OAuth ..."})");
  }
}

TEST_CASE("an event is told as clients read it: the data is a text of its own") {
  const auto frame = event_frame(an_end());
  REQUIRE(frame);
  const json event = json::parse(*frame);
  CHECK(event["event"] == "DEPLOYMENT_ACTION_END");
  CHECK(event["date"] == 1'700'000'000'123);
  REQUIRE(event["data"].is_string());
  CHECK(json::parse(event["data"].get<std::string>()) == json({{"appId", "app_1"},
                                                               {"id", 7},
                                                               {"uuid", "deployment_1"},
                                                               {"state", "OK"},
                                                               {"action", "DEPLOY"},
                                                               {"commit", "0123"},
                                                               {"cause", "Git push"}}));
}

TEST_CASE("an event without a commit says null, and other news is not told") {
  auto event = an_end();
  event.commit.clear();
  const json data = json::parse(json::parse(*event_frame(event))["data"].get<std::string>());
  CHECK(data["commit"].is_null());
  for (const auto* other : {"DEPLOYMENT_PHASE", "INSTANCE_CHANGE", "APPLICATION_CHANGE", ""}) {
    event.event = other;
    CHECK_FALSE(event_frame(event));
  }
}

TEST_CASE("a client has ten seconds for its credentials") {
  EventConversation conversation(start);
  auto step = conversation.step(start + 9s);
  CHECK(step.frames.empty());
  CHECK_FALSE(step.goodbye);
  CHECK(step.again == start + 10s);
  step = conversation.step(step.again);
  REQUIRE(step.goodbye);
  CHECK(step.goodbye->code == http::CloseCode::policy);
  CHECK(step.goodbye->reason == "no credentials came within ten seconds");
  REQUIRE(step.frames.size() == 1);
  CHECK(json::parse(step.frames[0])["type"] == "error");
  CHECK(json::parse(step.frames[0])["id"] == 2001);
}

TEST_CASE("bad credentials are told with the id that clients know") {
  EventConversation conversation(start);
  conversation.refuse(http::CloseCode::policy, "no");
  CHECK(conversation.has_more());
  const auto step = conversation.step(start);
  REQUIRE(step.frames.size() == 1);
  CHECK(step.frames[0] == R"({"id":2001,"message":"no","type":"error"})");
  REQUIRE(step.goodbye);
}

TEST_CASE("a heartbeat goes out every five seconds, and one that is answered goes on") {
  auto conversation = an_open_conversation();
  auto now = start;
  for (int i = 0; i < 10; ++i) {
    conversation.hear(R"({"type":"heartbeat","heartbeat_msg":"pong"})", now);
    auto step = conversation.step(now + 1s);
    CHECK(step.frames.empty());
    CHECK(step.again == now + 5s);
    now += 5s;
    step = conversation.step(now);
    CHECK(step.frames.size() == 1);
    CHECK_FALSE(step.goodbye);
  }
}

TEST_CASE("a client that answers no heartbeat is sent away") {
  auto conversation = an_open_conversation();
  conversation.hear("something else", start + 11s);
  conversation.hear(R"({"type":"heartbeat","heartbeat_msg":"ping"})", start + 11s);
  CHECK_FALSE(conversation.step(start + 11s).goodbye);
  const auto step = conversation.step(start + 12s);
  REQUIRE(step.goodbye);
  CHECK(step.goodbye->reason == "the heartbeats were not answered");
}

TEST_CASE("a client that takes events too slowly is sent away, and its events are let go") {
  auto conversation = an_open_conversation();
  for (std::size_t i = 0; i < EventConversation::most_waiting; ++i) conversation.tell("x");
  CHECK_FALSE(conversation.step(start).goodbye);
  for (std::size_t i = 0; i <= EventConversation::most_waiting; ++i) conversation.tell("x");
  conversation.tell("and another");
  const auto step = conversation.step(start);
  CHECK(step.frames.empty());
  REQUIRE(step.goodbye);
  CHECK(step.goodbye->code == http::CloseCode::try_again_later);
}

TEST_CASE("every reason fits into a close frame") {
  auto conversation = an_open_conversation();
  for (std::size_t i = 0; i <= EventConversation::most_waiting; ++i) conversation.tell("x");
  CHECK(conversation.step(start).goodbye->reason.size() <= 123);
}

TEST_CASE("an event is told once, and a beginning is not taken for an end") {
  ToldEvents told(1000);
  auto end = an_end();
  CHECK_FALSE(told.told(end));
  told.remember(end);
  CHECK(told.told(end));
  auto begin = an_end();
  begin.event = "DEPLOYMENT_ACTION_BEGIN";
  CHECK_FALSE(told.told(begin));
  told.remember(begin);
  CHECK(told.sure_until_ms() == end.time_ms - 60'000);
  begin.deployment_uuid = "deployment_2";
  begin.time_ms = 5;
  CHECK_FALSE(told.told(begin));
  told.remember(begin);
  CHECK(told.sure_until_ms() == end.time_ms - 60'000);
}
