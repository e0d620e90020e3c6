#pragma once
/// What an exchange becomes when the application has switched to WebSocket (RFC 6455, RFC 8441):
/// bytes both ways until one side ends.

#include "reverse-proxy/connection.hpp"
#include "reverse-proxy/visitor.hpp"

namespace karreg::proxy {

class Worker;

class Tunnel {
 public:
  /// @p up_in has what the application said already. All that is referred to outlives run().
  Tunnel(Worker& worker, Visitor& visitor, Connection& up, Buffer& up_in)
      : worker_(worker), visitor_(visitor), up_(up), up_in_(up_in) {}

  /// Until one side breaks off, nobody has said a byte for Limits::tunnel_time, or one side has
  /// said all and the other one its last within Limits::linger_time.
  Task<void> run();

 private:
  Worker& worker_;
  Visitor& visitor_;
  Connection& up_;
  Buffer& up_in_;
};

}  // namespace karreg::proxy
