#include "api/events/hub.hpp"

#include <algorithm>
#include <thread>

#include "api/stores/apps_store.hpp"
#include "api/stores/images_store.hpp"
#include "common/clock.hpp"
#include "common/ids.hpp"
#include "common/log.hpp"
#include "common/wire/json.hpp"

namespace karreg::api {

namespace {

/// How many places one user may have: browsers and terminals of one person.
constexpr std::ptrdiff_t places_of_a_user = 32;

std::string key_of(const wire::PlatformEvent& event) {
  if (event.event == "IMAGE_OUTDATED")
    return event.event + " " + event.app_id + " " + event.runtime + " " + event.image;
  return event.event + " " + event.deployment_uuid;
}

/// What the scheduler would have said of @p deployment as it is now.
wire::PlatformEvent event_of(const Deployment& deployment) {
  const bool ended = deployment.state != "WIP";
  return {ended ? "DEPLOYMENT_ACTION_END" : "DEPLOYMENT_ACTION_BEGIN",
          deployment.ended_ms.value_or(deployment.requested_ms),
          deployment.app_id,
          deployment.uuid,
          deployment.number,
          deployment.state,
          deployment.phase,
          deployment.action,
          deployment.commit.value_or(""),
          deployment.cause};
}
wire::PlatformEvent event_of(const ImageNews& news) {
  wire::PlatformEvent event;
  event.event = "IMAGE_OUTDATED";
  event.time_ms = news.told_ms;
  event.app_id = news.app_id;
  event.runtime = news.runtime;
  event.image = news.image;
  event.old_image = news.old_image;
  return event;
}

/// What changed in the database after @p since_ms, as the scheduler would have said it.
std::vector<wire::PlatformEvent> events_since(pqxx::work& work, std::int64_t since_ms) {
  std::vector<wire::PlatformEvent> events;
  for (const auto& deployment : deployments_changed_since(work, since_ms))
    events.push_back(event_of(deployment));
  for (const auto& news : image_news_since(work, since_ms)) events.push_back(event_of(news));
  return events;
}

}  // namespace

bool ToldEvents::told(const wire::PlatformEvent& event) const {
  return told_.contains(key_of(event));
}

void ToldEvents::remember(const wire::PlatformEvent& event) {
  newest_ms_ = std::max(newest_ms_, event.time_ms);
  std::string key = key_of(event);
  if (!told_.insert(key).second) return;
  in_order_.push_back(std::move(key));
  if (in_order_.size() > most_remembered) {
    told_.erase(in_order_.front());
    in_order_.pop_front();
  }
}

EventHub::EventHub(asio::any_io_executor executor, const Services& services)
    : executor_(std::move(executor)),
      services_(services),
      told_(unix_ms()),
      listeners_(std::make_shared<Listeners>()) {}

EventHub::~EventHub() {
  stopping_ = true;
}

void EventHub::start() {
  consumer_ = std::make_unique<broker::Consumer>(
      services_.settings.broker, broker::api_queue(ids::uuid()),
      [this](const broker::Delivery& delivery) { return consume(delivery); },
      [this] { catch_up(); });
}

void EventHub::stop() {
  stopping_ = true;
  for (const auto& [id, listener] : *listeners_) listener.on_stop();
  if (consumer_) consumer_->stop();
}

Result<EventHub::Place> EventHub::listen(const std::string& user_id, Listener on_event,
                                         std::function<void()> on_stop) {
  if (stopping_) return Error(ErrorKind::unavailable, "the API is stopping; connect again");
  const auto places = std::ranges::count(*listeners_, user_id,
                                         [](const auto& entry) { return entry.second.user_id; });
  if (places >= places_of_a_user)
    return Error(ErrorKind::unavailable, "you listen " + std::to_string(places) +
                                             " times already: close one of these sockets");
  const auto id = ++next_id_;
  (*listeners_)[id] = {user_id, std::move(on_event), std::move(on_stop)};
  return Place(listeners_, id);
}

void EventHub::pause() const {
  // On the consumer's thread, between two tries at a database that is away.
  for (int i = 0; i < 25 && !stopping_; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

broker::Disposition EventHub::consume(const broker::Delivery& delivery) {
  auto event = wire::from_text<wire::PlatformEvent>(delivery.body, "PlatformEvent");
  if (!event) {
    log::warn("unusable news", {log::field("why", event.error().message())});
    return broker::Disposition::reject;
  }
  auto announced = announce(*event);
  return announced ? broker::Disposition::ack : broker::disposition_after(announced.error());
}

void EventHub::catch_up() {
  // The queue was gone with its connection, and what went to it meanwhile with it.
  for (bool said = false; !stopping_; said = true) {
    auto changed = services_.database.transact(
        [&](pqxx::work& work) -> Result<std::vector<wire::PlatformEvent>> {
          return events_since(work, told_.sure_until_ms());
        });
    Result<void> all = changed ? ok() : Result<void>(changed.error());
    for (std::size_t i = 0; all && i < changed->size(); ++i) all = announce((*changed)[i]);
    if (all) return;
    const bool passes = all.error().kind() == ErrorKind::unavailable;
    if (!said || !passes)
      log::warn("events cannot be caught up with", {log::field("why", all.error().message())});
    if (!passes) return;
    pause();
  }
}

Result<void> EventHub::announce(const wire::PlatformEvent& event) {
  if (event.event != "DEPLOYMENT_ACTION_BEGIN" && event.event != "DEPLOYMENT_ACTION_END" &&
      event.event != "IMAGE_OUTDATED")
    return ok();
  if (told_.told(event)) return ok();
  auto members =
      services_.database.transact([&](pqxx::work& work) -> Result<std::vector<std::string>> {
        return members_of_app(work, event.app_id);
      });
  if (!members) return members.error();
  told_.remember(event);
  asio::post(executor_, [this, event, users = std::move(*members)] {
    for (const auto& [id, listener] : *listeners_)
      if (std::ranges::find(users, listener.user_id) != users.end()) listener.on_event(event);
  });
  return ok();
}

}  // namespace karreg::api
