#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>
#include <thread>

#include "reverse-proxy/connection.hpp"

using namespace karreg::proxy;
using namespace std::chrono_literals;

namespace {

/// A loop that ends when its last task has, and two ends of a connection in it.
struct Wired {
  Loop loop;
  BufferPool buffers{1024};
  ConnectionList swept;
  std::unique_ptr<Connection> near;
  std::unique_ptr<Connection> far;
  SteadyTime soon = std::chrono::steady_clock::now() + 10s;

  Wired() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
      throw std::runtime_error("no socket pair");
    near = std::make_unique<Connection>(loop, fds[0], buffers, swept);
    far = std::make_unique<Connection>(loop, fds[1], buffers, swept);
    loop.when_idle([this] { loop.stop(); });
  }
  void run(Task<void> task) {
    loop.spawn("test", std::move(task));
    loop.run();
  }
};

Task<int> number(int n) {
  co_return n;
}
Task<int> failing() {
  throw std::runtime_error("no number");
  co_return 0;
}

Task<void> both(Task<void> a, Task<void> b) {
  co_await Both(std::move(a), std::move(b));
}

Task<void> turns(Loop& loop, int count) {
  for (int turn = 0; turn < count; ++turn) co_await loop.yield();
}

Task<std::string> read_all(Connection& from, SteadyTime by) {
  std::string all;
  Buffer buffer;
  for (;;) {
    const auto read = co_await from.read_some(buffer, by);
    if (!read.ok()) co_return all + (read.end() ? "" : "!");
    all += buffer.view();
    buffer.clear();
  }
}

}  // namespace

TEST_CASE("a task gives its value, or throws what it threw, to the one that awaits it") {
  Wired wired;
  int sum = 0;
  std::string thrown;
  auto task = [](int& to, std::string& what) -> Task<void> {
    const int one = co_await number(1);
    const int two = co_await number(2);
    to = one + two;
    try {
      to = co_await failing();
    } catch (const std::runtime_error& e) {
      what = e.what();
    }
  };
  wired.run(task(sum, thrown));
  CHECK(sum == 3);
  CHECK(thrown == "no number");
}

TEST_CASE("both of two tasks have ended, whichever was first, when what awaits them goes on") {
  Wired wired;
  const auto order = GENERATE(0, 1, 2);
  std::string seen;
  auto wait = [](Loop& loop, std::string& to, char name, int after) -> Task<void> {
    co_await turns(loop, after);
    to += name;
  };
  auto task = [](Task<void> a, Task<void> b, std::string& to) -> Task<void> {
    co_await Both(std::move(a), std::move(b));
    to += '.';
  };
  wired.run(task(wait(wired.loop, seen, 'a', order == 1 ? 3 : 0),
                 wait(wired.loop, seen, 'b', order == 2 ? 3 : 0), seen));
  CHECK(seen == (order == 1 ? "ba." : "ab."));
}

TEST_CASE("when one of two tasks fails the other one is waited for all the same") {
  Wired wired;
  std::string seen;
  auto fail = []() -> Task<void> { (void)co_await failing(); };
  auto late = [](Loop& loop, std::string& to) -> Task<void> {
    co_await turns(loop, 3);
    to += "late ";
  };
  auto task = [](Task<void> a, Task<void> b, std::string& to) -> Task<void> {
    try {
      co_await Both(std::move(a), std::move(b));
    } catch (const std::runtime_error& e) {
      to += e.what();
    }
  };
  wired.run(task(fail(), late(wired.loop, seen), seen));
  CHECK(seen == "late no number");
}

TEST_CASE("bytes and the end come through, however many reads and writes they take") {
  Wired wired;
  const auto size = GENERATE(1UL, 1023UL, 1024UL, 1025UL, 3'000'000UL);
  std::string sent(size, '\0');
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>('a' + i % 23);
  std::string got;
  auto send = [](Wired& w, const std::string& text) -> Task<void> {
    const std::string_view all = text;
    // In pieces, one of them empty.
    const auto half = all.size() / 2;
    const auto ec =
        co_await w.near->write(Pieces{all.substr(0, half), {}, all.substr(half)}, w.soon);
    CHECK_FALSE(ec);
    w.near->shutdown_send();
  };
  auto receive = [](Wired& w, std::string& to) -> Task<void> {
    to = co_await read_all(*w.far, w.soon);
  };
  wired.run(both(send(wired, sent), receive(wired, got)));
  CHECK((got == sent));
  CHECK(wired.near->written_bytes() == sent.size());
  CHECK(wired.far->read_bytes() == sent.size());
}

TEST_CASE("a connection that waits holds no buffer") {
  Wired wired;
  Buffer buffer;
  bool held = true;
  auto look = [](Wired& w, const Buffer& b, bool& seen) -> Task<void> {
    co_await turns(w.loop, 3);
    seen = b.allocated();
    (void)co_await w.far->write("x", w.soon);
  };
  auto read = [](Wired& w, Buffer& b) -> Task<void> {
    const auto got = co_await w.near->read_some(b, w.soon);
    CHECK(got.bytes == 1);
  };
  wired.run(both(read(wired, buffer), look(wired, buffer, held)));
  CHECK_FALSE(held);
  CHECK(buffer.view() == "x");
}

TEST_CASE("what waits ends when it is cancelled, closed, or its time is over") {
  Wired wired;
  const std::string how = GENERATE("cancel", "close", "time");
  bool expired = false;
  error_code seen;
  auto wait = [](Wired& w, error_code& to, bool& late, bool short_time) -> Task<void> {
    Buffer buffer;
    const auto read =
        co_await w.near->read_some(buffer, short_time ? w.loop.now() : SteadyTime::max());
    to = read.error;
    late = w.near->expired();
  };
  auto end = [](Wired& w, const std::string how) -> Task<void> {
    co_await turns(w.loop, 3);
    if (how == "cancel") w.near->cancel();
    if (how == "close") w.near->close();
    w.near->sweep(w.loop.now(), false);
  };
  wired.run(both(wait(wired, seen, expired, how == "time"), end(wired, how)));
  CHECK(seen == aborted());
  CHECK(expired == (how == "time"));
}

TEST_CASE("an endless stream leaves the others their turns") {
  Wired wired;
  bool done = false;
  auto pour = [](Wired& w, const bool& enough) -> Task<void> {
    const std::string text(1024, 'x');
    while (!enough) (void)co_await w.near->write(text, w.soon);
    w.near->close();
  };
  auto drink = [](Wired& w) -> Task<void> { (void)co_await read_all(*w.far, w.soon); };
  auto other = [](Wired& w, bool& enough) -> Task<void> {
    co_await turns(w.loop, 100);
    enough = true;
  };
  wired.loop.spawn("other", other(wired, done));
  wired.run(both(pour(wired, done), drink(wired)));
  CHECK(done);
}

TEST_CASE("a connection may be gone before its turn comes") {
  Wired wired;
  // Both ends hear of each other in one turn; whoever is first takes the other one away.
  auto wait = [](Wired& w) -> Task<void> {
    Buffer buffer;
    (void)co_await w.near->read_some(buffer, w.soon);
  };
  auto take_away = [](Wired& w) -> Task<void> {
    co_await turns(w.loop, 3);
    (void)co_await w.far->write("x", w.soon);
    // Its read is attempted, and its error told, before this memory is anybody else's.
    w.near->close();
    w.far.reset();
  };
  auto task = [](Wired& w, Task<void> a, Task<void> b) -> Task<void> {
    co_await Both(std::move(a), std::move(b));
    w.near.reset();
  };
  wired.run(task(wired, wait(wired), take_away(wired)));
  CHECK(wired.swept.empty());
}

TEST_CASE("other threads have their calls carried out on the loop's, in their order") {
  Wired wired;
  std::string seen;
  std::thread::id where;
  auto wait = [](Wired& w) -> Task<void> {
    Buffer buffer;
    (void)co_await w.near->read_some(buffer, w.soon);
  };
  std::thread other([&] {
    for (char c = 'a'; c <= 'e'; ++c) wired.loop.post([&seen, c] { seen += c; });
    wired.loop.post([&] {
      where = std::this_thread::get_id();
      wired.near->close();
    });
  });
  wired.run(wait(wired));
  other.join();
  CHECK(seen == "abcde");
  CHECK(where == std::this_thread::get_id());
}
