#include "reverse-proxy/tunnel.hpp"

#include "reverse-proxy/pump.hpp"
#include "reverse-proxy/worker.hpp"

namespace karreg::proxy {

namespace {

/// The end of a tunnel that is a stream of HTTP/2.
class Stream {
 public:
  explicit Stream(Visitor& visitor) : visitor_(visitor) {}

  std::span<const char> heard() const { return heard_; }
  void passed(std::size_t) { heard_ = {}; }
  Task<Connection::Read> hear(SteadyTime by) {
    using End = BodyReader::End;
    visitor_.allow_until(by);
    const auto piece = co_await visitor_.next_piece();
    heard_ = piece.bytes;
    Connection::Read read{{}, heard_.size()};
    if (piece.end != End::none && piece.end != End::complete)
      read.error = boost::system::errc::make_error_code(boost::system::errc::connection_reset);
    co_return read;
  }
  Task<error_code> tell(std::span<const char> bytes, SteadyTime) {
    const bool taken = co_await visitor_.send(bytes, false);
    co_return taken ? error_code{}
                    : boost::system::errc::make_error_code(boost::system::errc::connection_reset);
  }
  Task<bool> say_end() { return visitor_.send({}, true); }
  void allow_until(SteadyTime by) { visitor_.allow_until(by); }
  void broke() {}
  void hang_up() { visitor_.hang_up(); }

 private:
  Visitor& visitor_;
  std::span<const char> heard_;
};

}  // namespace

Task<void> Tunnel::run() {
  auto& buffers = worker_.buffers();
  const auto& limits = worker_.limits();
  Pump pump(worker_.loop(), {limits.client_time, limits.tunnel_time, limits.linger_time});
  const Wire instance(buffers, up_, up_in_, 0);
  if (const auto wire = visitor_.wire()) {
    const Wire client(buffers, wire->connection, wire->buffer, wire->offset);
    co_await Both(pump.pass(client, instance), pump.pass(instance, client));
  } else {
    const Stream client(visitor_);
    co_await Both(pump.pass(client, instance), pump.pass(instance, client));
  }
}

}  // namespace karreg::proxy
