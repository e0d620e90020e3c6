#pragma once

#include "api/git/pusher.hpp"
#include "api/services.hpp"
#include "common/async/task_group.hpp"

namespace karreg::api::git {

/// Answers the hooks: turns a push into a deployment and tells the pusher how it goes.
///
/// The branch is moved (branches.hpp) before the push is answered with ok: at once when the pusher
/// does not wait, else when the deployment is OK. A failed deployment leaves the branch where it
/// was, so that the same commit can be pushed again. A pusher who leaves does not stop the
/// deployment: the branch then moves at once. When this program dies, another run does that
/// (orphans.hpp).
class PushServer {
 public:
  PushServer(asio::any_io_executor executor, const Services& services);
  /// Listens on the hook socket (mode 0600).
  Result<void> start();
  awaitable<void> stop();

 private:
  awaitable<void> listen();
  awaitable<void> serve(Pusher::Socket socket);

  asio::any_io_executor executor_;
  const Services& services_;
  asio::local::stream_protocol::acceptor acceptor_;
  TaskGroup tasks_;
};

}  // namespace karreg::api::git
