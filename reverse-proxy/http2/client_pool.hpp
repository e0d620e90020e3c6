#pragma once
/// Connections to instances that speak HTTP/2; a worker's own. Requests of all visitors share them,
/// each with a stream of its own.

#include <coroutine>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "reverse-proxy/backend.hpp"
#include "reverse-proxy/http2/client_connection.hpp"
#include "reverse-proxy/rules/speech.hpp"

namespace karreg::proxy {
class Worker;
}

namespace karreg::proxy::http2 {

class ClientPool {
 public:
  explicit ClientPool(Worker& worker) : worker_(worker) {}
  ClientPool(const ClientPool&) = delete;
  ClientPool& operator=(const ClientPool&) = delete;

  struct Wish {
    std::shared_ptr<Backend> backend;
    std::shared_ptr<const rules::Speech> speech;
    std::string name;   ///< that the instance is called by in a handshake
    bool once = false;  ///< the request cannot be sent again when a connection ends in silence
  };
  struct Opened {
    std::unique_ptr<ClientStream> stream = {};  ///< nullptr: it did not work
    bool reused = false;                        ///< its connection has had others
    std::string why = {};                       ///< in English, when it did not work
    bool own_fault = false;                     ///< as Connection::Connected has it
    bool unfit = false;                         ///< the same
    bool late = false;                          ///< the instance accepts and does not speak
    bool full = false;                          ///< it takes no more requests at once
  };
  /// A stream for one request. Where connections are full another one is opened, up to
  /// Limits::http2_per_backend; then requests wait, as long as for a connection. One that was
  /// silent for a second is asked for a sign of life (PING) before a request that must not meet its
  /// end.
  Task<Opened> open(Wish wish);
  /// Ends waits whose time is over, and connections to instances that left the table.
  void sweep(SteadyTime now);
  /// Connections end with the streams they have.
  void leave();
  /// Tasks on the loop: one for each connection.
  std::size_t tasks() const { return tasks_; }

 private:
  using Key = std::tuple<const Backend*, const rules::Speech*, std::string>;
  struct Entry {
    explicit Entry(Wish w) : of(std::move(w)) {}
    const Wish of;
    std::vector<std::shared_ptr<ClientConnection>> connections;
    std::vector<std::coroutine_handle<>> waiting;    ///< for room, the first comes first
    std::vector<std::coroutine_handle<>> listening;  ///< for whatever happens
    bool connecting = false;
    std::uint64_t failures = 0;  ///< to connect; the last one was like this
    Opened last;
    int users = 0;  ///< coroutines that refer to it
  };
  class News;
  class Use;
  class Connecting;

  Task<void> connect(Entry& entry);
  Task<void> run(Entry& entry, std::shared_ptr<ClientConnection> connection);
  Task<void> wait_for_life(Entry& entry, std::shared_ptr<ClientConnection> connection);
  /// The first connection that has room; nullptr: none has.
  static std::shared_ptr<ClientConnection> with_room(const Entry& entry);
  /// Whether one of its connections takes requests, with room now or not.
  static bool serves(const Entry& entry);
  bool may_connect(const Entry& entry) const;
  void changed(Entry& entry);
  void wake(std::vector<std::coroutine_handle<>>& all, std::size_t most);
  static Opened failure(const Opened& last);

  Worker& worker_;
  std::map<Key, Entry> entries_;
  std::size_t tasks_ = 0;
};

}  // namespace karreg::proxy::http2
