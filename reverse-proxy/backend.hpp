#pragma once
/// What the workers share about one instance: counters that are touched from every core.

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/error.hpp"
#include "common/wire/routes.hpp"
#include "reverse-proxy/balance.hpp"
#include "reverse-proxy/traffic.hpp"

namespace karreg::proxy {

class Backend {
 public:
  Backend(std::string app_id, std::string instance_id, std::string address,
          boost::asio::ip::tcp::endpoint endpoint);

  const std::string app_id;
  const std::string instance_id;
  const std::string address;
  const boost::asio::ip::tcp::endpoint endpoint;
  const std::string sticky_token;  ///< stands for the instance in cookies; tells nothing about it

  enum class Failure {
    no_answer,   ///< it did not accept, or broke off without an answer: set aside at once
    bad_answer,  ///< none in time, or none that is HTTP: when it was so several times in a row
  };
  /// Whether it is set aside for that, a while that grows. Then one request tries whether it is
  /// back, and only its answer brings the others.
  bool failed(Failure failure, std::chrono::steady_clock::time_point now, const AsideRule& rule);
  void answered() {
    if (failures_.load(std::memory_order_relaxed) != 0) is_back();
  }
  bool aside(std::chrono::steady_clock::time_point now) const {
    return now.time_since_epoch().count() < aside_until_.load(std::memory_order_relaxed);
  }
  /// Of one that is not aside: whether a request may go there. Of those that come after its time
  /// aside one may; the next one when that has said nothing for as long as a next time would be.
  bool admits(std::chrono::steady_clock::time_point now, const AsideRule& rule) {
    return aside_until_.load(std::memory_order_relaxed) == 0 || tries(now, rule);
  }
  int in_flight() const { return in_flight_.load(); }
  /// Of these, requests that an instance may have had work with before.
  int repeats() const { return repeats_.load(std::memory_order_relaxed); }
  std::uint64_t requests() const { return requests_.load(std::memory_order_relaxed); }
  /// No longer in the table: gets no new request; set and read by any thread.
  bool retired() const { return retired_.load(); }
  void retire(bool is_retired) { retired_.store(is_retired); }

 private:
  friend class InFlight;
  void is_back();
  bool tries(std::chrono::steady_clock::time_point now, const AsideRule& rule);

  friend class BackendRegistry;
  std::atomic<int> in_flight_{0};
  std::atomic<int> repeats_{0};
  std::atomic<int> failures_{0};     ///< in a row
  std::atomic<int> times_aside_{0};  ///< in a row
  /// 0: it is not, and has answered since it was.
  std::atomic<std::chrono::steady_clock::rep> aside_until_{0};
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<bool> retired_{false};
  std::uint64_t seen_ = 0;  ///< of requests_, by BackendRegistry::active()
  int routes_ = 0;          ///< of the table that it stands in, by BackendRegistry
};

/// Counts one request at a backend for as long as it lives.
class InFlight {
 public:
  InFlight() = default;
  /// False: @p backend has @p most in hand already (0: no bound). @p repeats: it may have had work
  /// with the request before, or another one.
  bool enter(const std::shared_ptr<Backend>& backend, int most, bool repeats) {
    release();
    if (backend->in_flight_.fetch_add(1) >= most && most > 0) {
      backend->in_flight_.fetch_sub(1);
      return false;
    }
    backend_ = backend;
    backend_->requests_.fetch_add(1, std::memory_order_relaxed);
    repeats_ = repeats;
    if (repeats_) backend_->repeats_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  InFlight(InFlight&&) noexcept = default;
  InFlight& operator=(InFlight&& other) noexcept {
    release();
    backend_ = std::move(other.backend_);
    repeats_ = other.repeats_;
    return *this;
  }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  ~InFlight() { release(); }
  Backend* operator->() const { return backend_.get(); }
  Backend& operator*() const { return *backend_; }
  const std::shared_ptr<Backend>& shared() const { return backend_; }
  explicit operator bool() const { return backend_ != nullptr; }

 private:
  void release() {
    if (!backend_) return;
    if (repeats_) backend_->repeats_.fetch_sub(1, std::memory_order_relaxed);
    backend_->in_flight_.fetch_sub(1);
    backend_.reset();
  }
  std::shared_ptr<Backend> backend_;
  bool repeats_ = false;
};

/// Keeps one Backend per instance and address over all tables, so that its counters go on; and
/// remembers those that left the table until their last request is done. For one thread at a time.
class BackendRegistry {
 public:
  /// The state for @p wire, an instance of @p app_id, made when new. Error `invalid` when the
  /// address is no IP address and port.
  Result<std::shared_ptr<Backend>> get(const std::string& app_id, const wire::Backend& wire);
  /// Call once every worker uses a new table: with all its backends, or with those of the routes
  /// that came and of those that left. Backends may stand there more than once. Whoever is in no
  /// route any more is retired.
  void keep_only(const std::vector<std::shared_ptr<Backend>>& in_table);
  void change(const std::vector<std::shared_ptr<Backend>>& came,
              const std::vector<std::shared_ptr<Backend>>& left);
  /// Requests in flight by instance, of those that left the table and are not done; forgets the
  /// others that left.
  std::map<std::string, int> draining();
  /// Those that have requests in flight, or were sent some since the last call; of the table or
  /// not.
  std::vector<ActiveBackend> active();
  /// Those of the table.
  std::vector<std::shared_ptr<Backend>> in_table() const;

 private:
  /// Instance and address, which are the backend's own.
  using Key = std::pair<std::string_view, std::string_view>;
  using Known = std::map<Key, std::shared_ptr<Backend>>;
  static Key key_of(const Backend& backend);
  void retire(Known::iterator known);

  Known backends_;
  Known retired_;
};

}  // namespace karreg::proxy
