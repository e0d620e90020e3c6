#include "reverse-proxy/http2/client_pool.hpp"

#include <algorithm>

#include "reverse-proxy/instance_link.hpp"
#include "reverse-proxy/worker.hpp"

namespace karreg::proxy::http2 {

namespace {
/// A sign of life is waited for that long; an instance may be busy.
constexpr std::chrono::milliseconds life_time{1'000};
/// Connections for one request: an instance may end each of them at once.
constexpr int most_connects = 3;
constexpr auto everyone = static_cast<std::size_t>(-1);
}  // namespace

/// Waits until it is woken.
class [[nodiscard]] ClientPool::News {
 public:
  explicit News(std::vector<std::coroutine_handle<>>& among) : among_(among) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) { among_.push_back(waiting); }
  void await_resume() const noexcept {}

 private:
  std::vector<std::coroutine_handle<>>& among_;
};

/// Keeps an entry from being forgotten.
class ClientPool::Use {
 public:
  explicit Use(Entry& entry) : entry_(entry) { ++entry_.users; }
  ~Use() { --entry_.users; }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

 private:
  Entry& entry_;
};

/// One at a time; whoever waits for it looks again, however it ended.
class ClientPool::Connecting {
 public:
  Connecting(ClientPool& pool, Entry& entry) : pool_(pool), entry_(entry) {
    entry_.connecting = true;
  }
  ~Connecting() {
    entry_.connecting = false;
    pool_.wake(entry_.waiting, everyone);
  }
  Connecting(const Connecting&) = delete;
  Connecting& operator=(const Connecting&) = delete;

 private:
  ClientPool& pool_;
  Entry& entry_;
};

std::shared_ptr<ClientConnection> ClientPool::with_room(const Entry& entry) {
  const auto found = std::ranges::find_if(
      entry.connections, [](const auto& each) { return each->session().room() > 0; });
  return found == entry.connections.end() ? nullptr : *found;
}

bool ClientPool::serves(const Entry& entry) {
  return std::ranges::any_of(entry.connections, [](const auto& each) {
    return each->session().greeted() && !each->session().leaving() && !each->session().over();
  });
}

bool ClientPool::may_connect(const Entry& entry) const {
  // Those that only end what they have do not count: each holds a request of the share that an
  // application may have.
  const auto serving = std::ranges::count_if(
      entry.connections, [](const auto& each) { return !each->session().leaving(); });
  return !entry.connecting &&
         static_cast<std::size_t>(serving) < worker_.limits().http2_per_backend;
}

ClientPool::Opened ClientPool::failure(const Opened& last) {
  return {nullptr, false, last.why, last.own_fault, last.unfit, last.late, last.full};
}

Task<ClientPool::Opened> ClientPool::open(Wish wish) {
  Key key{wish.backend.get(), wish.speech.get(), wish.name};
  const bool once = wish.once;
  auto& entry = entries_.try_emplace(std::move(key), std::move(wish)).first->second;
  const Use use(entry);
  const auto by = worker_.loop().now() + worker_.limits().connect_time;
  bool asked = false;
  for (int connects = 0;;) {
    if (auto connection = with_room(entry)) {
      const auto silent = worker_.loop().now() - connection->session().heard();
      if (once && !asked && connection->used() && silent > UpstreamPool::fresh_for) {
        asked = true;
        co_await wait_for_life(entry, std::move(connection));
        continue;
      }
      const bool reused = connection->used();
      if (reused) worker_.count().backend_reuses.add();
      co_return Opened{connection->open(), reused};
    }
    const auto failures = entry.failures;
    if (may_connect(entry) && connects++ < most_connects) {
      co_await connect(entry);
    } else {
      if (worker_.loop().now() >= by && !entry.connecting)
        co_return Opened{.why = "it takes no more requests at once by HTTP/2", .full = true};
      co_await News(entry.waiting);
    }
    // Those that there are have room again some day.
    if (entry.failures != failures && !serves(entry)) co_return failure(entry.last);
  }
}

Task<void> ClientPool::wait_for_life(Entry& entry, std::shared_ptr<ClientConnection> connection) {
  const auto since = connection->session().heard();
  const auto by = worker_.loop().now() + life_time;
  connection->ping();
  while (!connection->session().over() && connection->session().heard() == since &&
         worker_.loop().now() < by)
    co_await News(entry.listening);
}

Task<void> ClientPool::connect(Entry& entry) {
  const Connecting connecting(*this, entry);
  auto fresh = co_await link_to(worker_, *entry.of.backend, entry.of.speech.get(), entry.of.name);
  entry.last = {};
  if (fresh.connection) {
    auto connection =
        std::make_shared<ClientConnection>(std::move(fresh.connection), worker_.buffers(),
                                           worker_.limits(), [this, &entry] { changed(entry); });
    entry.connections.push_back(connection);
    worker_.loop().spawn("http2 to an instance", run(entry, connection));
    const auto& session = connection->session();
    while (!session.greeted() && !session.over()) co_await News(entry.listening);
    if (!session.greeted()) {
      entry.last.why = session.why();
      // Silence may be that of an instance which is busy; words were the wrong ones.
      entry.last.late = connection->late();
      entry.last.unfit = !entry.last.late;
      worker_.count().backend_connect_failures.add();
    }
  } else {
    entry.last.why = fresh.why;
    entry.last.own_fault = fresh.own_fault;
    entry.last.unfit = fresh.unfit;
  }
  if (!entry.last.why.empty()) ++entry.failures;
}

Task<void> ClientPool::run(Entry& entry, std::shared_ptr<ClientConnection> connection) {
  const Use use(entry);
  ++tasks_;
  co_await connection->run();
  std::erase(entry.connections, connection);
  wake(entry.listening, everyone);
  wake(entry.waiting, everyone);
  --tasks_;
}

void ClientPool::wake(std::vector<std::coroutine_handle<>>& all, std::size_t most) {
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(std::min(most, all.size()));
  for (auto each = all.begin(); each != end; ++each) worker_.loop().resume_soon(*each);
  all.erase(all.begin(), end);
}

void ClientPool::changed(Entry& entry) {
  wake(entry.listening, everyone);
  if (entry.waiting.empty()) return;
  std::size_t room = may_connect(entry) ? 1 : 0;
  for (const auto& connection : entry.connections) room += connection->session().room();
  wake(entry.waiting, room);
}

void ClientPool::sweep(SteadyTime now) {
  for (auto it = entries_.begin(); it != entries_.end();) {
    auto& entry = it->second;
    const bool retired = entry.of.backend->retired();
    for (const auto& connection : entry.connections) {
      connection->sweep(now);
      if (retired) connection->leave();
    }
    // They look at their time themselves.
    wake(entry.listening, everyone);
    wake(entry.waiting, everyone);
    const bool used = entry.users > 0 || !entry.connections.empty();
    it = used ? std::next(it) : entries_.erase(it);
  }
}

void ClientPool::leave() {
  for (auto& [key, entry] : entries_)
    for (const auto& connection : entry.connections) connection->leave();
}

}  // namespace karreg::proxy::http2
