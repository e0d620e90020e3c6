#include "reverse-proxy/udp_service.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/container/small_vector.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "common/log.hpp"
#include "reverse-proxy/listeners.hpp"
#include "reverse-proxy/port_picking.hpp"

namespace karreg::proxy {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {
/// The largest payload is 65 507 bytes (RFC 768, RFC 791).
constexpr std::size_t largest_datagram = 64UL * 1024;
/// Others wait for their turn while these are passed on.
constexpr int datagrams_in_a_row = 32;
/// Without an answer a sender may be invented, and its flow is a file for nothing.
constexpr std::chrono::milliseconds unanswered_time = 10s;
/// Of silence, for flows of an instance that is wanted no more, or of a process that leaves.
constexpr std::chrono::milliseconds parting_time = 2s;
constexpr auto after_a_lack = 100ms;

/// A worker passes a datagram on before it takes the next one: one room is enough.
std::span<char> room() {
  thread_local std::vector<char> bytes(largest_datagram);
  return bytes;
}

/// Of this machine for the rest of the world; nothing: it has none.
std::optional<sockaddr_in> outer_address() {
  const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP));
  // Nothing is sent to it: RFC 5737 keeps it for examples.
  sockaddr_in anybody{};
  anybody.sin_family = AF_INET;
  anybody.sin_port = htons(9);
  anybody.sin_addr.s_addr = htonl(0xC0000201);
  sockaddr_in own{};
  socklen_t size = sizeof own;
  if (!socket ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&anybody), sizeof anybody) != 0 ||
      ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0)
    return std::nullopt;
  own.sin_port = 0;
  return own;
}

/// Connected to @p to; without a descriptor, and errno, when that cannot be.
Descriptor socket_to(const boost::asio::ip::tcp::endpoint& to) {
  Descriptor socket(
      ::socket(to.protocol().family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP));
  bool usable = static_cast<bool>(socket);
  // A virtual machine of this machine is reached through its passt, which brings back no answer to
  // a loopback address: guests may not reach those (--no-map-gw).
  if (usable && to.address().is_loopback() && to.address().is_v4())
    if (const auto from = outer_address())
      usable = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&*from), sizeof *from) == 0;
  if (usable && ::connect(socket.get(), to.data(), static_cast<socklen_t>(to.size())) == 0)
    return socket;
  return {};
}

/// The same for all workers and processes, so that a sender keeps its instance through an upgrade.
std::uint64_t rank_of(std::string_view sender, const Backend& backend) {
  std::string both(sender);
  both += backend.instance_id;
  return std::hash<std::string>{}(both);
}
}  // namespace

/// The next datagram of a socket.
class [[nodiscard]] UdpService::Receiving final : public Operation {
 public:
  explicit Receiving(Socket& socket) : socket_(socket) {}
  bool await_ready() { return attempt(); }
  void await_suspend(std::coroutine_handle<> coroutine) {
    waiting = coroutine;
    waited_ = true;
    socket_.wait_to_read(*this);
  }
  /// Good until the next one is received by this thread. Meaningless after an error.
  std::span<const char> await_resume() const { return room().first(size_); }
  const Sender& sender() const { return sender_; }
  /// None was there at first.
  bool waited() const { return waited_; }
  bool attempt() override {
    if (!socket_.is_open()) {
      error = aborted();
      return true;
    }
    while (socket_.may_read()) {
      sender_.size = sizeof sender_.address;
      const auto n = ::recvfrom(socket_.fd(), room().data(), room().size(), 0,
                                reinterpret_cast<sockaddr*>(&sender_.address), &sender_.size);
      if (n >= 0) {
        size_ = static_cast<std::size_t>(n);
        return true;
      }
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        socket_.nothing_to_read();
      } else {
        error = {errno, boost::system::system_category()};
        return true;
      }
    }
    return false;
  }

 private:
  Socket& socket_;
  Sender sender_;
  std::size_t size_ = 0;
  bool waited_ = false;
};

/// What one sender and its instance say to each other.
class UdpFlow {
 public:
  UdpFlow(std::shared_ptr<UdpService> service, const UdpService::Sender& client, InFlight at,
          std::string app, Descriptor socket)
      : service_(std::move(service)),
        worker_(service_->worker_),
        client_(client),
        at_(std::move(at)),
        app_(std::move(app)),
        socket_(worker_.loop(), socket.release()) {
    service_->flows_[std::string(client_.key())] = this;
    ++worker_.udp_flows_;
    worker_.count().udp_flows.add();
    worker_.count().udp_open.add();
  }
  ~UdpFlow() {
    end({});
    --worker_.udp_flows_;
    worker_.count().udp_open.subtract();
    record();
  }
  UdpFlow(const UdpFlow&) = delete;
  UdpFlow& operator=(const UdpFlow&) = delete;

  /// Brings answers to the client until it ends.
  static Task<void> serve(std::unique_ptr<UdpFlow> flow) { co_await flow->run(); }

  /// False: the instance takes none, and the flow has ended.
  bool to_instance(std::span<const char> datagram) {
    spoke_at_ = worker_.loop().now();
    if (::send(socket_.fd(), datagram.data(), datagram.size(), MSG_NOSIGNAL) >= 0) {
      bytes_in_ += datagram.size();
      return true;
    }
    if (errno == ECONNREFUSED) {
      refused();
      return false;
    }
    worker_.count().udp_dropped.add();
    return true;
  }

  void sweep(SteadyTime now) {
    auto patience = worker_.limits().udp_idle_time;
    if (!answered_) patience = std::min(patience, unanswered_time);
    if (worker_.draining() || at_->retired()) patience = std::min(patience, parting_time);
    if (now - spoke_at_ >= patience) end({});
  }

  /// No datagram finds it any more. @p why: empty if that is as it should be.
  void end(std::string_view why) {
    if (!socket_.is_open()) return;
    error_ = why;
    socket_.close();
    service_->flows_.erase(service_->flows_.find(client_.key()));
  }

 private:
  Task<void> run() {
    for (int in_a_row = 0; socket_.is_open();) {
      if (++in_a_row > datagrams_in_a_row) {
        in_a_row = 1;
        co_await worker_.loop().yield();
      }
      UdpService::Receiving next(socket_);
      const auto datagram = co_await next;
      if (next.waited()) in_a_row = 1;
      if (next.error.value() == ECONNREFUSED) refused();
      if (next.error || !socket_.is_open()) break;
      spoke_at_ = worker_.loop().now();
      if (!std::exchange(answered_, true)) at_->answered();
      bytes_out_ += datagram.size();
      service_->send(client_, datagram);
    }
    end("the socket to the instance failed");
  }

  /// Nobody listens there (ICMP).
  void refused() {
    const auto now = worker_.loop().now();
    if (at_->failed(Backend::Failure::no_answer, now, worker_.limits().aside))
      worker_.count().set_aside.add();
    worker_.count().udp_failures.add();
    end("nobody takes datagrams at the instance");
  }

  void record() {
    worker_.count().bytes_in.add(bytes_in_);
    worker_.count().bytes_out.add(bytes_out_);
    const TcpEnded ended{answered_ || error_.empty(), 1, bytes_in_, bytes_out_};
    const auto now = worker_.loop().now();
    worker_.apps().add(app_, ended, now);
    worker_.instances().add(at_->instance_id, ended, now);
    if (!worker_.access_log().enabled()) return;
    const auto client = address_text(client_.address);
    AccessRecord record;
    record.begun = begun_at_;
    record.took =
        std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - begun_);
    record.protocol = udp_protocol;
    record.port = service_->port_;
    record.client = client;
    record.app = app_;
    record.instance = at_->instance_id;
    record.attempts = 1;
    record.bytes_in = bytes_in_;
    record.bytes_out = bytes_out_;
    record.error = error_;
    worker_.access_log().write(record);
  }

  const std::shared_ptr<UdpService> service_;
  Worker& worker_;
  const UdpService::Sender client_;
  InFlight at_;
  const std::string app_;
  Socket socket_;
  bool answered_ = false;
  std::string_view error_;  ///< why it did not go well; empty: it did
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
  const std::chrono::system_clock::time_point begun_at_ = std::chrono::system_clock::now();
  const SteadyTime begun_ = steady_clock::now();
  SteadyTime spoke_at_ = worker_.loop().now();
};

UdpService::UdpService(Worker& worker, std::uint16_t port, Descriptor socket)
    : worker_(worker), port_(port), socket_(worker.loop(), socket.release()) {}

Task<void> UdpService::serve(std::shared_ptr<UdpService> self) {
  self->self_ = self;
  co_await self->take();
}

Task<void> UdpService::take() {
  for (int in_a_row = 0; !left_;) {
    // However fast they come, others have their turns.
    if (++in_a_row > datagrams_in_a_row) {
      in_a_row = 1;
      co_await worker_.loop().yield();
      if (left_) co_return;
    }
    Receiving next(socket_);
    const auto datagram = co_await next;
    if (left_) co_return;
    if (next.waited()) in_a_row = 1;
    if (!next.error) {
      pass(next.sender(), datagram);
      continue;
    }
    log::error("cannot take datagrams",
               {log::field("port", port_), log::field("why", next.error.message())});
    co_await worker_.loop().sleep_for(after_a_lack);
  }
}

void UdpService::pass(const Sender& from, std::span<const char> datagram) {
  const auto known = flows_.find(from.key());
  auto* flow = known == flows_.end() ? begin(from) : known->second;
  if (flow == nullptr || flow->to_instance(datagram)) return;
  // That one is set aside now; another one may take it.
  flow = begin(from);
  if (flow != nullptr) (void)flow->to_instance(datagram);
}

UdpFlow* UdpService::begin(const Sender& from) {
  auto dropped = [this](Counter& why) {
    why.add();
    worker_.count().udp_dropped.add();
    return nullptr;
  };
  if (worker_.sessions() >= worker_.most_connections())
    return dropped(worker_.count().connections_refused);
  std::string app;
  InFlight at;
  // By rank: the sender's next flow, at whichever worker or process, has the same instance.
  auto choose = [&](std::span<const Candidate> candidates, const LiveTcpRoute& route) {
    boost::container::small_vector<std::uint64_t, 16> ranks;
    for (const auto& backend : route.backends) ranks.push_back(rank_of(from.key(), *backend));
    return choose_by_rank(candidates, {ranks.data(), ranks.size()});
  };
  switch (pick_for_port(worker_, port_, {}, choose, app, at)) {
    case PortPicked::instance:
      break;
    case PortPicked::app_busy:
      return dropped(worker_.count().app_refused);
    default:
      return dropped(worker_.count().udp_no_backend);
  }
  auto socket = socket_to(at->endpoint);
  if (!socket) {
    log::error("no socket for the datagrams of a client",
               {log::field("port", port_), log::field("why", std::strerror(errno))});
    return dropped(worker_.count().udp_failures);
  }
  auto flow = std::make_unique<UdpFlow>(self_.lock(), from, std::move(at), std::move(app),
                                        std::move(socket));
  auto* begun = flow.get();
  worker_.loop().spawn("udp flow", UdpFlow::serve(std::move(flow)));
  return begun;
}

void UdpService::send(const Sender& to, std::span<const char> datagram) {
  const auto sent =
      ::sendto(socket_.fd(), datagram.data(), datagram.size(), MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&to.address), static_cast<socklen_t>(to.size));
  if (sent < 0) worker_.count().udp_dropped.add();
}

void UdpService::sweep(SteadyTime now) {
  // Who ends is no longer in the table.
  std::vector<UdpFlow*> all;
  all.reserve(flows_.size());
  for (const auto& [key, flow] : flows_) all.push_back(flow);
  for (auto* flow : all) flow->sweep(now);
}

void UdpService::leave() {
  left_ = true;
  socket_.hear_no_more();
}

void UdpService::cut(std::string_view why) {
  leave();
  std::vector<UdpFlow*> all;
  for (const auto& [key, flow] : flows_) all.push_back(flow);
  for (auto* flow : all) flow->end(why);
}

}  // namespace karreg::proxy
