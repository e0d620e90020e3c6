#pragma once
/// News of deployments and images for whoever listens at this API process: from the broker, or, for
/// what was lost while it was away, from the database. Each listener gets what happens to
/// applications of its user's organisations, told once.

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "api/services.hpp"
#include "common/broker/consumer.hpp"
#include "common/wire/news.hpp"

namespace karreg::api {

/// Which events were told lately, and since when some may be missing. For one thread.
class ToldEvents {
 public:
  explicit ToldEvents(std::int64_t now_ms) : newest_ms_(now_ms) {}
  bool told(const wire::PlatformEvent& event) const;
  /// @p event is no news any more.
  void remember(const wire::PlatformEvent& event);
  /// Whatever changed in the database after this moment may be untold. Clocks of different machines
  /// and the time from a decision to its message are allowed for.
  std::int64_t sure_until_ms() const { return newest_ms_ - 60'000; }

 private:
  static constexpr std::size_t most_remembered = 10'000;
  std::int64_t newest_ms_;
  std::set<std::string> told_;
  std::deque<std::string> in_order_;
};

/// For the io_context's thread, but for what says otherwise.
class EventHub {
  struct Entry;
  using Listeners = std::map<std::uint64_t, Entry>;

 public:
  using Listener = std::function<void(const wire::PlatformEvent&)>;

  EventHub(asio::any_io_executor executor, const Services& services);
  ~EventHub();
  /// Begins to consume.
  void start();
  /// Tells every listener that the server ends, and no more events. Blocks for the message in hand.
  void stop();

  /// A place among the listeners; given back at the end of its life.
  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept : among_(std::exchange(other.among_, {})), id_(other.id_) {}
    Place& operator=(Place&& other) noexcept {
      std::swap(among_, other.among_);
      std::swap(id_, other.id_);
      return *this;
    }
    ~Place() {
      if (const auto listeners = among_.lock()) listeners->erase(id_);
    }

   private:
    friend class EventHub;
    Place(std::weak_ptr<Listeners> among, std::uint64_t id) : among_(std::move(among)), id_(id) {}
    std::weak_ptr<Listeners> among_;
    std::uint64_t id_ = 0;
  };
  /// Calls @p on_event for each event of the user, and @p on_stop at the end of the server. Error
  /// `unavailable` when the user has as many places as one may have.
  Result<Place> listen(const std::string& user_id, Listener on_event,
                       std::function<void()> on_stop);

 private:
  struct Entry {
    std::string user_id;
    Listener on_event;
    std::function<void()> on_stop;
  };
  broker::Disposition consume(const broker::Delivery& delivery);
  void catch_up();
  Result<void> announce(const wire::PlatformEvent& event);
  void pause() const;

  asio::any_io_executor executor_;
  const Services& services_;
  ToldEvents told_;  ///< on the consumer's thread
  std::atomic<bool> stopping_{false};
  std::uint64_t next_id_ = 0;
  /// Shared with their places: a conversation that is left at the end of the process outlives us.
  std::shared_ptr<Listeners> listeners_;
  std::unique_ptr<broker::Consumer> consumer_;
};

}  // namespace karreg::api
