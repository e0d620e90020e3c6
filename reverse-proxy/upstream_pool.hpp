#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "reverse-proxy/backend.hpp"
#include "reverse-proxy/connection.hpp"

namespace karreg::proxy {

/// Kept connections to backends; a worker's own. Any client's next request may take one (a
/// connection holds no state between requests).
class UpstreamPool {
 public:
  /// What a request may meet. An application may end a kept connection at any moment without a
  /// word, and a request that crosses that end can only be sent again if it is repeatable. For the
  /// others a connection must have outlived an answer: it has answered again since, or is still
  /// open outlives_after later; and its last answer must not be older than fresh_for, so that no
  /// idle time-out of an application is near. A new connection is safe from that but dear: an event
  /// loop that accepts one of them a turn (libuv since 1.45, so Node 20) lets it wait for many
  /// turns.
  enum class For { repeatable, once };
  static constexpr std::chrono::milliseconds outlives_after{100};
  static constexpr std::chrono::milliseconds fresh_for{1000};

  UpstreamPool(std::size_t per_backend, std::chrono::milliseconds max_idle)
      : per_backend_(per_backend), max_idle_(max_idle) {}

  /// The most recently used connection that will do and that the backend has not closed; nullptr
  /// when there is none.
  std::unique_ptr<Connection> take(const Backend& backend, SteadyTime now, For request);
  /// @p outlived: the connection came from here before its answer.
  void put(const std::shared_ptr<Backend>& backend, std::unique_ptr<Connection> connection,
           SteadyTime now, bool outlived);
  /// Closes what has been idle for too long or leads to a backend that left the table.
  void sweep(SteadyTime now);
  void clear() { idle_.clear(); }
  std::size_t size() const;

 private:
  struct Idle {
    std::unique_ptr<Connection> connection;
    SteadyTime since;
    bool outlived;
  };
  struct PerBackend {
    std::shared_ptr<Backend> backend;
    std::vector<Idle> idle;  ///< oldest first
  };
  std::size_t per_backend_;
  std::chrono::milliseconds max_idle_;
  std::unordered_map<const Backend*, PerBackend> idle_;
};

}  // namespace karreg::proxy
