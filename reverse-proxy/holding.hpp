#pragma once
/// Requests for applications that sleep wait here until instances are there: of one worker, on its
/// thread. They leave in the order in which they came, a few at a time (Limits::let_out), so that
/// an instance that has just woken is not met by all of them at once.

#include <boost/intrusive/list.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "reverse-proxy/held_apps.hpp"
#include "reverse-proxy/limits.hpp"
#include "reverse-proxy/live_routes.hpp"
#include "reverse-proxy/loop/signal.hpp"
#include "reverse-proxy/metrics.hpp"
#include "reverse-proxy/visitor.hpp"

namespace karreg::proxy {

/// What of @p route is held rather than told that nothing serves.
inline bool sleeps(const LiveRoute& route) {
  return route.asleep && route.backends.empty();
}

class Holding {
 private:
  struct Queue;

 public:
  /// @p workers share what the limits allow.
  Holding(Loop& loop, const Limits& limits, int workers, HeldApps& apps, WorkerMetrics& count);
  ~Holding();
  Holding(const Holding&) = delete;
  Holding& operator=(const Holding&) = delete;

  /// One of those that may be on their way at once after they were held; given back by leave(), or
  /// when it ends.
  class Place {
   public:
    Place() = default;
    ~Place() { leave(); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    /// The next one may go.
    void leave();

   private:
    friend class Holding;
    Holding* holding_ = nullptr;
    Queue* queue_ = nullptr;
  };

  enum class End {
    let_go,  ///< the application does not sleep any more, as far as this worker knows
    full,    ///< as many are held as may be
    late,    ///< the time was over
    left,    ///< the visitor is gone
  };
  /// Who waits, all of which stays where it is meanwhile.
  struct Guest {
    const std::string& app;
    const http1::Target& target;
    const Visitor& visitor;
  };
  /// Waits until @p by at most; @p place is taken when the request is let go.
  Task<End> wait(Guest guest, SteadyTime by, Place& place);

  /// The worker uses @p routes, or nothing (nullptr), from now on.
  void use(const LiveRoutes* routes);
  /// Looks for those whose time is over, and for those who are gone.
  void sweep(SteadyTime now);

 private:
  using Hook =
      boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::safe_link>>;
  struct Waiter : Hook {
    Waiter(Loop& loop, Guest who, SteadyTime until) : guest(who), by(until), news(loop) {}
    Guest guest;
    SteadyTime by;
    Signal news;
    std::optional<End> end;
  };
  struct Queue {
    std::string app;
    boost::intrusive::list<Waiter> waiting;
    std::size_t out = 0;  ///< let go, with their places still taken
  };

  Queue& queue_of(const std::string& app);
  /// Whether there is an instance for it by now: who has waited for his turn is not sent away.
  bool is_awake(const Waiter& waiter) const;
  void finish(Queue& queue, Waiter& waiter, End end);
  /// Those of @p queue that may go now.
  void let_go(Queue& queue);
  /// Requests that may be on their way at once to one instance of @p route, from this worker.
  std::size_t most_at(const LiveRoute& route) const;
  void forget_if_empty(Queue& queue);
  std::size_t share(std::size_t of_all) const;

  Loop& loop_;
  const Limits& limits_;
  const std::size_t workers_;
  HeldApps& apps_;
  WorkerMetrics& count_;
  const LiveRoutes* routes_ = nullptr;
  std::map<std::string, std::unique_ptr<Queue>, std::less<>> queues_;
  std::size_t held_ = 0;
};

}  // namespace karreg::proxy
