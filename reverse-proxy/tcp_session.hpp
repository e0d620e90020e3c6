#pragma once
/// One connection of a client to a TCP service: an instance is chosen and connected to, then bytes
/// pass both ways until both have said all, one breaks off, or both are silent for too long.

#include <boost/container/small_vector.hpp>

#include "reverse-proxy/port_picking.hpp"
#include "reverse-proxy/pump.hpp"
#include "reverse-proxy/worker.hpp"

namespace karreg::proxy {

class TcpSession : public TcpSessionHook {
 public:
  /// Serves @p connection until it is over.
  static Task<void> serve(Worker& worker, Accepted connection);
  TcpSession(Worker& worker, const Accepted& connection);
  ~TcpSession();
  TcpSession(const TcpSession&) = delete;
  TcpSession& operator=(const TcpSession&) = delete;

  /// Resets both sides: neither may take what it got for all there is.
  void cut();

 private:
  class End;

  Task<void> run();
  /// up_ is an instance that has accepted, or error_ says why there is none.
  Task<void> reach();
  PortPicked pick();
  Task<void> relay();
  void record();

  Worker& worker_;
  Connection client_;
  std::unique_ptr<Connection> up_;
  Buffer from_client_;
  Buffer from_instance_;
  const std::uint16_t port_;
  std::string client_address_;
  std::string app_;
  std::string instance_;
  InFlight at_;
  boost::container::small_vector<const Backend*, 8> tried_;
  const std::chrono::system_clock::time_point begun_at_ = std::chrono::system_clock::now();
  const SteadyTime begun_ = std::chrono::steady_clock::now();
  int attempts_ = 0;
  std::string_view ended_by_;  ///< who said all first
  std::string error_;          ///< why it did not go well; empty: it did
};

}  // namespace karreg::proxy
