#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "reverse-proxy/balance.hpp"
#include "reverse-proxy/http1/head.hpp"

namespace karreg::proxy {

/// Every bound of the data path, by name; what happens at each is said in README.md.
struct Limits {
  using ms = std::chrono::milliseconds;

  /// Requests that one application may have in hand.
  std::size_t per_app() const {
    return std::max<std::size_t>(connections * static_cast<std::size_t>(app_share_percent) / 100,
                                 1);
  }

  http1::HeadLimits head;                      ///< 431; of an answer: 502
  std::size_t buffer_bytes = 64UL * 1024;      ///< each way; a head and at least as much body
  std::size_t whole_body_bytes = 16UL * 1024;  ///< smaller bodies are taken in before the backend
                                               ///< is called, so that they can be sent twice
  std::size_t connections = 20'000;            ///< of clients, all workers together; 503 beyond
  int app_share_percent = 25;                  ///< of these, requests in hand at one application's
                                               ///< instances; 503 beyond, for the others' sake
  std::size_t idle_per_backend = 256;          ///< kept connections per worker; no more than were
                                               ///< in use at once in the last backend_idle_time
  std::size_t http2_per_backend = 16;          ///< connections by HTTP/2 per worker that take new
                                               ///< requests; each has up to 128 in hand
  std::size_t compressing = 128;               ///< answers that a worker compresses at once; others
                                               ///< go as they are
  std::size_t held_per_app = 500;  ///< requests that wait for one application that sleeps to wake,
                                   ///< all workers together, a share each; 503 beyond
  std::size_t held = 2'000;        ///< the same of all applications that sleep
  std::size_t let_out = 16;  ///< of those, on their way at once for each instance, by each worker
  int attempts = 4;          ///< backends called for one request
  int retry_percent = 20;    ///< of an application's requests in hand, those that
                             ///< are repeated; 502 beyond, but for three
  AsideRule aside;           ///< for backends that fail

  ms header_time{30'000};     ///< from the first byte of a request to the end of its head; 408
  ms idle_time{75'000};       ///< client without a request; closed
  ms client_time{60'000};     ///< client neither sends nor takes a byte; closed
  ms connect_time{3'000};     ///< backend does not accept; next backend, 502
  ms answer_time{180'000};    ///< backend without a byte of the answer, or between two; 504 or cut
  ms tunnel_time{3'600'000};  ///< WebSocket without a byte in either direction; closed
  ms tcp_idle_time{3'600'000};  ///< TCP service: no byte in either direction, or one that is not
                                ///< taken; reset
  ms udp_idle_time{60'000};     ///< datagrams of one sender: none in either direction; forgotten
  ms hold_time{60'000};         ///< an application that sleeps has no instance yet; 503
  ms backend_idle_time{4'000};  ///< kept connection to a backend; below the 5 s of Node's default
  ms http2_backend_idle_time{60'000};  ///< connection to a backend by HTTP/2 without a request
  ms linger_time{2'000};               ///< for the client to read an answer it did not wait for
};

}  // namespace karreg::proxy
