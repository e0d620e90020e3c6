#include "reverse-proxy/tcp_session.hpp"

#include "reverse-proxy/session.hpp"

namespace karreg::proxy {

using std::chrono::steady_clock;

/// A side of the connection, which notes why it ends.
class TcpSession::End : public Wire {
 public:
  /// @p other_said_all and @p broken_text: what is noted when the other side has said all, and when
  /// this one breaks off.
  End(TcpSession& session, Connection& connection, Buffer& buffer, std::string_view other,
      std::string_view broken_text)
      : Wire(session.worker_.buffers(), connection, buffer, 0),
        session_(session),
        connection_(connection),
        other_(other),
        broken_text_(broken_text) {}

  auto say_end() {
    if (session_.ended_by_.empty()) session_.ended_by_ = other_;
    return Wire::say_end();
  }
  void broke() {
    if (!session_.error_.empty()) return;
    session_.error_ = connection_.expired() ? std::string_view("idle for too long") : broken_text_;
  }
  /// An end would say that the bytes before it are all there are.
  void hang_up() { connection_.reset(); }

 private:
  TcpSession& session_;
  Connection& connection_;
  std::string_view other_;
  std::string_view broken_text_;
};

TcpSession::TcpSession(Worker& worker, const Accepted& connection)
    : worker_(worker),
      client_(worker.loop(), connection.fd, worker.buffers(), worker.swept()),
      port_(connection.door->port),
      client_address_(connection.client) {
  worker_.tcp_sessions_.push_back(*this);
  worker_.count().connections_open.add();
  worker_.count().tcp_connections.add();
  worker_.count().tcp_open.add();
}

TcpSession::~TcpSession() {
  worker_.tcp_sessions_.erase(TcpSessionList::s_iterator_to(*this));
  worker_.count().connections_open.subtract();
  worker_.count().tcp_open.subtract();
  record();
  worker_.buffers().take_back(from_client_);
  worker_.buffers().take_back(from_instance_);
}

Task<void> TcpSession::serve(Worker& worker, Accepted connection) {
  TcpSession session(worker, connection);
  co_await session.run();
}

Task<void> TcpSession::run() {
  client_.keep_alive();
  bool of_use = true;
  if (worker_.options().proxy_protocol)
    of_use = co_await take_proxy_header(worker_, client_, client_address_);
  if (of_use)
    co_await reach();
  else
    error_ = "no header of the PROXY protocol";
  if (up_)
    co_await relay();
  else
    client_.reset();
}

Task<void> TcpSession::reach() {
  const auto& limits = worker_.limits();
  while (client_.is_open() && attempts_ < limits.attempts) {
    switch (pick()) {
      case PortPicked::instance:
        break;
      case PortPicked::no_route:
        error_ = "no application has this port";
        co_return;
      case PortPicked::nothing_serves:
        worker_.count().tcp_no_backend.add();
        error_ = "no instance serves";
        co_return;
      case PortPicked::app_busy:
        worker_.count().app_refused.add();
        error_ = "the application has too many connections";
        co_return;
      case PortPicked::all_failed:
        // At the first attempt: all have the weight 0.
        if (error_.empty()) error_ = "no instance serves";
        co_return;
    }
    ++attempts_;
    auto made =
        co_await Connection::connect(worker_.loop(), at_->endpoint, worker_.buffers(),
                                     worker_.swept(), worker_.loop().now() + limits.connect_time);
    if (made.connection) {
      at_->answered();
      up_ = std::move(made.connection);
      up_->keep_alive();
      error_.clear();
      co_return;
    }
    if (worker_.cutting()) co_return;
    error_ = "cannot connect to " + at_->address + ": " + made.why;
    if (!made.own_fault &&
        at_->failed(Backend::Failure::no_answer, worker_.loop().now(), limits.aside))
      worker_.count().set_aside.add();
    tried_.push_back(&*at_);
    at_ = {};
  }
}

// No coroutine: its frame would hold the table for as long as the connection lasts.
PortPicked TcpSession::pick() {
  auto choose = [this](std::span<const Candidate> candidates, const LiveTcpRoute& route) {
    return route.weights.empty() ? choose_backend(candidates, worker_.chance())
                                 : choose_by_weight(candidates, worker_.chance());
  };
  const auto picked =
      pick_for_port(worker_, port_, {tried_.data(), tried_.size()}, choose, app_, at_);
  if (picked == PortPicked::instance) instance_ = at_->instance_id;
  return picked;
}

Task<void> TcpSession::relay() {
  const auto idle = worker_.limits().tcp_idle_time;
  Pump pump(worker_.loop(), {idle, idle, idle});
  const End client(*this, client_, from_client_, "instance", "the client broke off");
  const End instance(*this, *up_, from_instance_, "client", "the instance broke off");
  co_await Both(pump.pass(client, instance), pump.pass(instance, client));
}

void TcpSession::cut() {
  client_.reset();
  if (up_) up_->reset();
}

void TcpSession::record() {
  const auto took =
      std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - begun_);
  auto& count = worker_.count();
  const bool reached = up_ != nullptr;
  if (worker_.cutting() && (!error_.empty() || !reached)) {
    error_ = "cut: the proxy stopped";
    count.cut.add();
  } else if (!reached) {
    count.tcp_failures.add();
  }
  count.bytes_in.add(client_.read_bytes());
  count.bytes_out.add(client_.written_bytes());
  if (attempts_ > 1) count.retries.add(static_cast<std::uint64_t>(attempts_ - 1));
  const TcpEnded ended{reached, attempts_, client_.read_bytes(), client_.written_bytes()};
  const auto now = worker_.loop().now();
  if (!app_.empty()) worker_.apps().add(app_, ended, now);
  if (reached) worker_.instances().add(instance_, ended, now);
  if (!worker_.access_log().enabled()) return;
  AccessRecord record;
  record.begun = begun_at_;
  record.took = took;
  record.protocol = tcp_protocol;
  record.port = port_;
  record.client = client_address_;
  record.app = app_;
  if (reached) record.instance = instance_;
  record.attempts = attempts_;
  record.bytes_in = client_.read_bytes();
  record.bytes_out = client_.written_bytes();
  record.ended_by = error_.empty() ? ended_by_ : std::string_view();
  record.error = error_;
  worker_.access_log().write(record);
}

}  // namespace karreg::proxy
