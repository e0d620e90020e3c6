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
  UpstreamPool(std::size_t per_backend, std::chrono::milliseconds max_idle)
      : per_backend_(per_backend), max_idle_(max_idle) {}

  /// The most recently used connection that the backend has not closed; nullptr when there is none.
  std::unique_ptr<Connection> take(const Backend& backend, SteadyTime now);
  void put(const std::shared_ptr<Backend>& backend, std::unique_ptr<Connection> connection,
           SteadyTime now);
  /// Closes what has been idle for too long or leads to a backend that left the table.
  void sweep(SteadyTime now);
  void clear() { idle_.clear(); }
  std::size_t size() const;

 private:
  struct Idle {
    std::unique_ptr<Connection> connection;
    SteadyTime since;
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
