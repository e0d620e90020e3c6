#pragma once
/// Real sockets on loopback for tests of the proxy: scripted backends and clients, each blocking on
/// a thread of its own, every wait with a deadline.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <list>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "reverse-proxy/proxy.hpp"

namespace karreg::proxy::testing {

using namespace std::chrono_literals;

/// One end of a connection.
class Peer {
 public:
  explicit Peer(int fd) : fd_(fd) {}
  Peer(Peer&& other) noexcept : fd_(std::exchange(other.fd_, -1)), rest_(std::move(other.rest_)) {}
  Peer& operator=(Peer&& other) noexcept {
    close();
    fd_ = std::exchange(other.fd_, -1);
    rest_ = std::move(other.rest_);
    return *this;
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() { close(); }

  static Peer connect(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) throw std::runtime_error("no more sockets");
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
      ::close(fd);
      throw std::runtime_error("cannot connect to port " + std::to_string(port));
    }
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return Peer(fd);
  }

  /// Whether all of @p text was taken within @p patience.
  bool send(std::string_view text, std::chrono::milliseconds patience = 10s) {
    return send_some(text, patience) == text.size();
  }
  /// How much was taken before nothing was for @p patience.
  std::size_t send_some(std::string_view text, std::chrono::milliseconds patience) {
    std::size_t sent = 0;
    while (sent < text.size()) {
      if (!ready(POLLOUT, patience)) return sent;
      const auto n =
          ::send(fd_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (n <= 0) return sent;
      sent += static_cast<std::size_t>(n);
    }
    return sent;
  }
  /// Up to and with @p mark; what came until the end or the deadline, when it did not come.
  std::string read_until(std::string_view mark, std::chrono::milliseconds patience = 10s) {
    const auto by = std::chrono::steady_clock::now() + patience;
    auto at = rest_.find(mark);
    while (at == std::string::npos && more(by)) at = rest_.find(mark);
    return take(at == std::string::npos ? rest_.size() : at + mark.size());
  }
  std::string read_head(std::chrono::milliseconds patience = 10s) {
    return read_until("\r\n\r\n", patience);
  }
  std::string read_exactly(std::size_t n, std::chrono::milliseconds patience = 10s) {
    const auto by = std::chrono::steady_clock::now() + patience;
    while (rest_.size() < n && more(by)) {
    }
    return take(std::min(n, rest_.size()));
  }
  /// What comes next; empty: the end (see ended()), or nothing in time.
  std::string read_some(std::chrono::milliseconds patience = 10s) {
    if (rest_.empty()) (void)more(std::chrono::steady_clock::now() + patience);
    return take(rest_.size());
  }
  bool ended() const { return ended_; }
  /// Whether something comes, or the end, within @p patience; for who reads fd() himself.
  bool readable(std::chrono::milliseconds patience) const { return ready(POLLIN, patience); }
  int fd() const { return fd_; }
  std::string read_to_end(std::chrono::milliseconds patience = 10s) {
    const auto by = std::chrono::steady_clock::now() + patience;
    while (more(by)) {
    }
    return take(rest_.size());
  }
  /// An answer or request with its body by Content-Length or chunks. What came, when the rest did
  /// not; see complete().
  std::string read_message() {
    std::string text = read_head();
    const auto head_size = text.size();
    const auto length = content_length(text);
    complete_ = text.ends_with("\r\n\r\n");
    if (text.find("\r\nTransfer-Encoding: chunked\r\n") != std::string::npos) {
      text += read_until("\r\n0\r\n\r\n");
      complete_ = text.ends_with("\r\n0\r\n\r\n");
    } else if (length > 0) {
      text += read_exactly(length);
      complete_ = text.size() == head_size + length;
    }
    return text;
  }
  /// Whether the last read_message() got all of its message.
  bool complete() const { return complete_; }
  /// Whether the other end closes (or resets) within @p patience, without another byte.
  bool closed_by_peer(std::chrono::milliseconds patience = 10s) {
    const auto by = std::chrono::steady_clock::now() + patience;
    if (!rest_.empty()) return false;
    const bool got = more(by);
    return !got && ended_;
  }
  /// The other end has closed with bytes of ours unread: some clients lose its last words then.
  bool was_reset() const { return reset_; }
  void shutdown_send() { ::shutdown(fd_, SHUT_WR); }
  /// The other end sees a reset.
  void reset() {
    const linger hard{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close();
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  /// Whoever takes the descriptor closes it.
  int release() { return std::exchange(fd_, -1); }
  /// Ends all blocking calls of another thread on this connection.
  void break_off() const { ::shutdown(fd_, SHUT_RDWR); }

  static std::size_t content_length(const std::string& head) {
    for (const auto* name : {"\r\nContent-Length: ", "\r\ncontent-length: "}) {
      const auto at = head.find(name);
      if (at != std::string::npos) return std::stoul(head.substr(at + 18));
    }
    return 0;
  }

 private:
  bool ready(short events, std::chrono::milliseconds patience) const {
    pollfd p{fd_, events, 0};
    return ::poll(&p, 1, static_cast<int>(patience.count())) > 0;
  }
  bool more(std::chrono::steady_clock::time_point by) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        by - std::chrono::steady_clock::now());
    if (left.count() <= 0 || !ready(POLLIN, left)) return false;
    char bytes[64UL * 1024];
    const auto n = ::recv(fd_, bytes, sizeof bytes, 0);
    if (n <= 0) {
      ended_ = true;
      reset_ = n < 0;
      return false;
    }
    rest_.append(bytes, static_cast<std::size_t>(n));
    return true;
  }
  std::string take(std::size_t n) {
    std::string result = rest_.substr(0, n);
    rest_.erase(0, n);
    return result;
  }

  int fd_;
  std::string rest_;
  bool ended_ = false;
  bool reset_ = false;
  bool complete_ = false;
};

/// An application: runs a script for each connection.
class App {
 public:
  /// @p nth connection, from 0.
  using Script = std::function<void(Peer& peer, int nth)>;

  explicit App(Script script) : script_(std::move(script)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&at), size) != 0 ||
        ::listen(listener_, 1024) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size) != 0)
      throw std::runtime_error("cannot listen");
    port_ = ntohs(at.sin_port);
    acceptor_ = std::thread([this] { accept_loop(); });
  }
  ~App() { stop(); }
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  /// Gone at once, as a machine that is switched off.
  void stop() {
    if (stopping_.exchange(true)) return;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    ::close(listener_);
    {
      const std::lock_guard lock(mutex_);
      for (auto& connection : connections_) connection.peer.break_off();
    }
    for (auto& connection : connections_) connection.thread.join();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int connections() const { return accepted_; }
  /// Connections whose script has ended.
  int closed() const { return closed_; }

  /// Answers every request with @p body.
  static Script hello(std::string body) {
    return [body](Peer& peer, int) {
      while (!peer.read_message().empty())
        if (!peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
                       "\r\n\r\n" + body))
          return;
    };
  }
  /// Answers every request with its own text.
  static void mirror(Peer& peer, int) {
    for (;;) {
      const auto text = peer.read_message();
      if (text.empty()) return;
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(text.size()) + "\r\n\r\n" +
                text);
    }
  }

 private:
  struct Served {
    Peer peer;
    std::thread thread;
    bool over = false;  ///< its script has ended, and it is closed
  };
  /// A thread that nobody has joined keeps its stack, and there is room for some 30 000 of those.
  void forget_those_over() {
    std::erase_if(connections_, [](Served& served) {
      if (served.over) served.thread.join();
      return served.over;
    });
  }
  void accept_loop() {
    for (;;) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0 || stopping_) {
        if (fd >= 0) ::close(fd);
        return;
      }
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      const std::lock_guard lock(mutex_);
      forget_those_over();
      auto& served = connections_.emplace_back(Served{Peer(fd), {}});
      served.thread = std::thread([this, &served, nth = accepted_++] {
        script_(served.peer, nth);
        const std::lock_guard closing(mutex_);
        served.peer.close();
        served.over = true;
        ++closed_;
      });
    }
  }

  Script script_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<int> accepted_{0};
  std::atomic<int> closed_{0};
  std::mutex mutex_;
  std::list<Served> connections_;
  std::thread acceptor_;
};

/// A proxy with its routes.
struct Loopback {
  AccessLog log{-1, false};
  Proxy proxy;
  std::uint64_t version = 0;
  std::vector<wire::Route> routes;

  explicit Loopback(ProxyOptions options = {}) : proxy(std::move(options), log) {
    const auto started = proxy.start();
    if (!started) throw std::runtime_error(started.error().message());
  }
  ~Loopback() { proxy.stop(0ms); }
  Loopback(const Loopback&) = delete;
  Loopback& operator=(const Loopback&) = delete;

  static wire::Route a_route(const std::string& host, const std::vector<const App*>& apps) {
    wire::Route route;
    route.host = host;
    route.app_id = "app_" + host;
    for (const auto* app : apps) route.backends.push_back({"vm-" + app->address(), app->address()});
    return route;
  }
  /// Replaces all routes.
  void use(std::vector<wire::Route> all) {
    routes = std::move(all);
    const auto table = RouteTable::from({++version, routes});
    if (!table) throw std::runtime_error(table.error().message());
    const auto used = proxy.use(*table);
    if (!used) throw std::runtime_error(used.error().message());
  }
  /// The one application at host a.test.
  void serve(const std::vector<const App*>& apps) { use({a_route("a.test", apps)}); }

  Peer client() const { return Peer::connect(proxy.port()); }
  /// Sends @p text on a new connection and reads until the proxy closes.
  std::string talk(std::string_view text) const {
    auto peer = client();
    peer.send(text);
    return peer.read_to_end();
  }
  /// Status line, head and body of one GET.
  std::string get(const std::string& path = "/", const std::string& more = "") const {
    auto peer = client();
    peer.send("GET " + path + " HTTP/1.1\r\nHost: a.test\r\n" + more + "\r\n");
    return peer.read_message();
  }
  /// Value of one line of /metrics.
  std::string metric(const std::string& name) {
    const auto text = "\n" + proxy.metrics();
    const auto at = text.find("\nkarreg_proxy_" + name + " ");
    if (at == std::string::npos) return "absent";
    const auto begin = at + std::string("\nkarreg_proxy_").size() + name.size() + 1;
    return text.substr(begin, text.find('\n', begin) - begin);
  }
};

/// Waits until @p holds; false after @p patience.
template <class Fn>
bool eventually(Fn holds, std::chrono::milliseconds patience = 10s) {
  const auto by = std::chrono::steady_clock::now() + patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > by) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

inline std::string body_of(const std::string& message) {
  const auto at = message.find("\r\n\r\n");
  return at == std::string::npos ? "" : message.substr(at + 4);
}
inline std::string status_of(const std::string& message) {
  return message.size() < 12 ? "none" : message.substr(9, 3);
}

}  // namespace karreg::proxy::testing
