#include "api/clever/event_conversation.hpp"

#include <algorithm>

#include "common/json.hpp"

namespace karreg::api::clever {

using http::CloseCode;
using nlohmann::json;

namespace {

/// The id that existing clients know for "these credentials are not valid".
constexpr int refused_id = 2001;

std::string text_of(const json& frame) {
  return frame.dump(-1, ' ', false, json::error_handler_t::replace);
}

bool is_pong(const std::string& frame) {
  const json parsed = json::parse(frame, nullptr, false);
  return parsed.is_object() && parsed.value("type", json()) == "heartbeat" &&
         parsed.value("heartbeat_msg", json()) == "pong";
}

}  // namespace

Result<std::string> authorization_of(const std::string& frame) {
  const auto bad = [] {
    return Error(ErrorKind::invalid,
                 "the first frame must be "
                 "{\"message_type\":\"oauth\",\"authorization\":\"OAuth ...\"}");
  };
  const json parsed = json::parse(frame, nullptr, false);
  if (!parsed.is_object() || parsed.value("message_type", json()) != "oauth") return bad();
  const json authorization = parsed.value("authorization", json());
  if (!authorization.is_string()) return bad();
  return authorization.get<std::string>();
}

std::optional<std::string> event_frame(const wire::PlatformEvent& event) {
  if (event.event == "IMAGE_OUTDATED") {
    const json data = {{"appId", event.app_id},
                       {"runtime", event.runtime},
                       {"image", event.old_image},
                       {"newImage", event.image}};
    return text_of({{"event", event.event}, {"date", event.time_ms}, {"data", text_of(data)}});
  }
  if (event.event != "DEPLOYMENT_ACTION_BEGIN" && event.event != "DEPLOYMENT_ACTION_END")
    return std::nullopt;
  const json data = {{"appId", event.app_id},
                     {"id", event.deployment_number},
                     {"uuid", event.deployment_uuid},
                     {"state", event.state},
                     {"action", event.action},
                     {"commit", event.commit.empty() ? json(nullptr) : json(event.commit)},
                     {"cause", event.cause}};
  // The data is a JSON text inside of the JSON.
  return text_of({{"event", event.event}, {"date", event.time_ms}, {"data", text_of(data)}});
}

void EventConversation::admit(Time now) {
  admitted_ = now;
  pong_at_ = now;
  heartbeat_at_ = now;
  waiting_.push_back(text_of({{"message_type", "socket_ready"}}));
}

void EventConversation::refuse(CloseCode code, std::string why) {
  if (goodbye_) return;
  waiting_.clear();
  waiting_.push_back(text_of({{"type", "error"}, {"id", refused_id}, {"message", why}}));
  goodbye_ = {code, std::move(why)};
}

void EventConversation::hear(const std::string& frame, Time now) {
  if (is_pong(frame)) pong_at_ = now;
}

void EventConversation::tell(std::string frame) {
  if (goodbye_) return;
  if (waiting_.size() >= most_waiting) {
    waiting_.clear();
    goodbye_ = {CloseCode::try_again_later,
                "events come faster than this client takes them; read the deployments instead"};
    return;
  }
  waiting_.push_back(std::move(frame));
}

void EventConversation::leave() {
  if (!goodbye_) goodbye_ = {CloseCode::going_away, "the API restarts; connect again"};
}

EventConversation::Step EventConversation::step(Time now) {
  Step step;
  if (!goodbye_ && !admitted_ && now >= began_ + time_for_credentials)
    refuse(CloseCode::policy, "no credentials came within ten seconds");
  if (!goodbye_ && admitted_ && now >= pong_at_ + time_for_pong)
    goodbye_ = {CloseCode::policy, "the heartbeats were not answered"};
  step.frames.assign(std::make_move_iterator(waiting_.begin()),
                     std::make_move_iterator(waiting_.end()));
  waiting_.clear();
  step.goodbye = goodbye_;
  step.again = admitted_ ? pong_at_ + time_for_pong : began_ + time_for_credentials;
  if (goodbye_ || !admitted_) return step;
  if (now >= heartbeat_at_) {
    step.frames.push_back(text_of({{"type", "heartbeat"},
                                   {"heartbeat_msg", "ping"},
                                   {"heartbeat_delay_ms", heartbeat_delay.count()}}));
    heartbeat_at_ = now + heartbeat_delay;
  }
  step.again = std::min(step.again, heartbeat_at_);
  return step;
}

}  // namespace karreg::api::clever
