#include "reverse-proxy/upstream_pool.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <catch2/catch.hpp>
#include <map>

using namespace karreg;
using namespace karreg::proxy;
using namespace std::chrono_literals;
using boost::asio::ip::tcp;
using For = UpstreamPool::For;

namespace {
/// A pool of connections to one backend on loopback, at times that the test chooses.
struct Kept {
  boost::asio::io_context io;
  tcp::acceptor acceptor{io, {boost::asio::ip::address_v4::loopback(), 0}};
  std::shared_ptr<Backend> backend =
      std::make_shared<Backend>("app", "vm-1", "127.0.0.1:1", acceptor.local_endpoint());
  Loop loop;
  BufferPool buffers{1024};
  ConnectionList swept;
  std::vector<tcp::socket> peers;  ///< the backend's ends, in the order of keep()
  UpstreamPool pool{8, 4s};
  SteadyTime start = std::chrono::steady_clock::now();

  /// Its name is the order in which it was made.
  int keep(std::chrono::milliseconds at, bool outlived) {
    tcp::socket ours(io);
    ours.connect(acceptor.local_endpoint());
    ours.native_non_blocking(true);
    peers.push_back(acceptor.accept());
    auto connection = std::make_unique<Connection>(loop, ours.release(), buffers, swept);
    const int name = static_cast<int>(peers.size()) - 1;
    names[connection.get()] = name;
    pool.put(backend, std::move(connection), start + at, outlived);
    return name;
  }
  /// Which one it gives; -1: none.
  int take(std::chrono::milliseconds at, For request) {
    const auto connection = pool.take(*backend, start + at, request);
    return connection ? names[connection.get()] : -1;
  }

 private:
  std::map<const Connection*, int> names;
};
}  // namespace

TEST_CASE("a repeatable request takes the kept connection that was used last") {
  Kept kept;
  const int first = kept.keep(0ms, false);
  const int second = kept.keep(10ms, false);
  CHECK(kept.take(20ms, For::repeatable) == second);
  CHECK(kept.take(3999ms, For::repeatable) == first);
  CHECK(kept.take(3999ms, For::repeatable) == -1);
}

TEST_CASE("no request takes a connection that has been idle for too long") {
  Kept kept;
  kept.keep(0ms, true);
  CHECK(kept.take(4000ms, For::repeatable) == -1);
}

TEST_CASE("a request that cannot be repeated takes a connection that has answered again") {
  Kept kept;
  const int proven = kept.keep(0ms, true);
  kept.keep(10ms, false);
  CHECK(kept.take(20ms, For::once) == proven);
  CHECK(kept.take(20ms, For::once) == -1);
}

TEST_CASE("or one that is still open a while after its first answer") {
  Kept kept;
  const int one = kept.keep(0ms, false);
  CHECK(kept.take(99ms, For::once) == -1);
  CHECK(kept.take(100ms, For::once) == one);
}

TEST_CASE("but none whose last answer is long ago, since an idle time-out may be near") {
  Kept kept;
  kept.keep(0ms, true);
  CHECK(kept.take(1000ms, For::once) == -1);
  CHECK(kept.take(1000ms, For::repeatable) == 0);
}

TEST_CASE("a connection that the backend has ended is given to nobody") {
  Kept kept;
  const int open = kept.keep(0ms, true);
  const int ended = kept.keep(1ms, true);
  kept.peers[static_cast<std::size_t>(ended)].close();
  // The end has arrived once it can be read.
  const auto by = std::chrono::steady_clock::now() + 10s;
  const For request = GENERATE(For::once, For::repeatable);
  int got = -1;
  while (got == -1 && std::chrono::steady_clock::now() < by) got = kept.take(200ms, request);
  CHECK(got == open);
}
