#include "reverse-proxy/listeners.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <cerrno>

namespace karreg::proxy {

namespace {
using boost::asio::ip::tcp;
using boost::system::error_code;

error_code last_error() {
  return {errno, boost::system::system_category()};
}

/// @p type: SOCK_STREAM or SOCK_DGRAM. @p endpoint is then where it listens.
Descriptor open_listener(int type, tcp::endpoint& endpoint, bool shared, error_code& why) {
  const bool stream = type == SOCK_STREAM;
  Descriptor socket(::socket(endpoint.protocol().family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  auto set = [&](int level, int option) {
    return ::setsockopt(socket.get(), level, option, &on, sizeof on) == 0;
  };
  auto size = static_cast<socklen_t>(endpoint.capacity());
  // What is accepted inherits TCP_NODELAY.
  const bool listens =
      socket && (!stream || set(SOL_SOCKET, SO_REUSEADDR)) &&
      (!shared || set(SOL_SOCKET, SO_REUSEPORT)) && (!stream || set(IPPROTO_TCP, TCP_NODELAY)) &&
      ::bind(socket.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0 &&
      (!stream || ::listen(socket.get(), listen_backlog) == 0) &&
      ::getsockname(socket.get(), endpoint.data(), &size) == 0;
  if (!listens) why = last_error();
  return socket;
}

Result<std::vector<Descriptor>> open_all(int type, const Endpoint& at, int count, bool shared,
                                         std::string_view setting) {
  auto failure = [&](const error_code& why) {
    return Error(ErrorKind::unavailable, fmt::format("setting {}: cannot listen on {}:{}: {}",
                                                     setting, at.host, at.port, why.message()));
  };
  error_code ec;
  const auto address =
      boost::asio::ip::make_address(at.host == "localhost" ? "127.0.0.1" : at.host, ec);
  if (ec) return failure(ec);
  tcp::endpoint endpoint(address, at.port);
  std::vector<Descriptor> all;
  for (int i = 0; i < count; ++i) {
    all.push_back(open_listener(type, endpoint, shared, ec));
    if (ec) return failure(ec);
  }
  return all;
}
}  // namespace

Result<std::vector<Descriptor>> open_listeners(const Endpoint& at, int count, bool shared,
                                               std::string_view setting) {
  return open_all(SOCK_STREAM, at, count, shared, setting);
}

Result<std::vector<Descriptor>> open_datagram_sockets(const Endpoint& at, int count, bool shared,
                                                      std::string_view setting) {
  return open_all(SOCK_DGRAM, at, count, shared, setting);
}

bool is_for_datagrams(const Descriptor& socket) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM;
}

std::string address_text(const sockaddr_storage& peer) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (peer.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(peer);
    ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
  } else {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(peer);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
      ::inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text.data(), text.size());
    else
      ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  }
  return text.data();
}

std::uint16_t port_of(const Descriptor& socket) {
  tcp::endpoint endpoint;
  auto size = static_cast<socklen_t>(endpoint.capacity());
  if (::getsockname(socket.get(), endpoint.data(), &size) != 0) return 0;
  return endpoint.port();
}

}  // namespace karreg::proxy
