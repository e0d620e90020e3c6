#include "hypervisor-agent/guest_link.hpp"

#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include "support.hpp"

using namespace karreg;
using namespace karreg::agent;
using namespace std::chrono_literals;
namespace msg = wire::guest;
using Local = asio::local::stream_protocol;

namespace {
/// QEMU's side of the socket with a guest behind it, played by the test.
class FakeGuest {
 public:
  FakeGuest(const asio::any_io_executor& executor, const std::string& path)
      : acceptor_(executor, Local::endpoint(path)), socket_(executor) {}
  awaitable<void> accept() { socket_ = co_await acceptor_.async_accept(asio::use_awaitable); }
  awaitable<void> say(std::string text) {
    co_await asio::async_write(socket_, asio::buffer(text), asio::use_awaitable);
  }
  template <class T>
  awaitable<T> hear() {
    const std::size_t n = co_await asio::async_read_until(socket_, asio::dynamic_buffer(buffer_),
                                                          '\n', asio::use_awaitable);
    auto message = msg::decode<msg::ToGuest>(std::string_view(buffer_).substr(0, n - 1));
    buffer_.erase(0, n);
    REQUIRE(message);
    REQUIRE(std::holds_alternative<T>(*message));
    co_return std::get<T>(*message);
  }
  void leave() { socket_.close(); }

 private:
  Local::acceptor acceptor_;
  Local::socket socket_;
  std::string buffer_;
};

struct Scene {
  test::TempFolder folder;
  std::string path = folder.path() + "/channel";
  std::vector<msg::FromGuest> heard;
  bool over = false;
  bool talked = false;

  awaitable<void> converse(GuestLink& link) {
    auto on_message = [this](const msg::FromGuest& message) { heard.push_back(message); };
    talked = co_await link.converse(on_message);
    over = true;
  }
};

std::string line(const std::string& text) {
  return text + "\n";
}

awaitable<void> talk(Scene& scene) {
  auto executor = co_await asio::this_coro::executor;
  GuestLink link(executor, scene.path);
  FakeGuest guest(executor, scene.path);
  TaskGroup tasks(executor);
  tasks.spawn("converse", scene.converse(link));
  co_await guest.accept();
  co_await guest.hear<msg::Attach>();

  // The rest of a line that somebody else began to read, nonsense, and unknown types are skipped.
  co_await guest.say("...rest of a line\n{\"type\":\"news\"}\n{}\n");
  co_await guest.say(line(msg::encode(msg::Hello{1, false, "", 321})));
  // In pieces, and two at once.
  const std::string state = line(msg::encode(msg::State{"listening", 5, ""}));
  co_await guest.say(state.substr(0, 7));
  co_await guest.say(state.substr(7) + line(msg::encode(msg::State{"stopping", 6, ""})));
  co_await test::until("three messages", [&] { return scene.heard.size() == 3; });
  REQUIRE(std::holds_alternative<msg::Hello>(scene.heard[0]));
  CHECK(std::get<msg::Hello>(scene.heard[0]).uptime_ms == 321);
  CHECK(std::get<msg::State>(scene.heard[1]).phase == "listening");
  CHECK(std::get<msg::State>(scene.heard[2]).phase == "stopping");

  link.send(msg::Stop{1234});
  const auto stop = co_await guest.hear<msg::Stop>();
  CHECK(stop.grace_ms == 1234);

  // Acknowledgements are cumulative: the newest one counts.
  link.acknowledge(1);
  link.acknowledge(3);
  link.acknowledge(2);
  const auto ack = co_await guest.hear<msg::LogAck>();
  CHECK(ack.seq == 3);

  guest.leave();
  co_await test::until("the end", [&] { return scene.over; });
  CHECK(scene.talked);
  co_await tasks.stop(1s);
}

awaitable<void> questions(Scene& scene) {
  auto executor = co_await asio::this_coro::executor;
  GuestLink link(executor, scene.path);
  FakeGuest guest(executor, scene.path);
  TaskGroup tasks(executor);
  tasks.spawn("converse", scene.converse(link));
  co_await guest.accept();
  co_await guest.hear<msg::Attach>();
  std::vector<bool> answers;
  // NOLINTNEXTLINE(cppcoreguidelines-avoid-capturing-lambda-coroutines): ask outlives it
  const auto ask = [&](std::chrono::milliseconds timeout) -> awaitable<void> {
    const bool answered = co_await link.ping(timeout);
    answers.push_back(answered);
  };

  tasks.spawn("answered", ask(10s));
  const auto first = co_await guest.hear<msg::Ping>();
  co_await guest.say(line(msg::encode(msg::Pong{first.id})));
  co_await test::until("an answer", [&] { return answers.size() == 1; });
  CHECK(answers.back());

  tasks.spawn("not answered", ask(50ms));
  const auto second = co_await guest.hear<msg::Ping>();
  CHECK(second.id != first.id);
  co_await test::until("the time-out", [&] { return answers.size() == 2; });
  CHECK_FALSE(answers.back());

  // What comes too late answers no later question.
  tasks.spawn("late", ask(200ms));
  const auto third = co_await guest.hear<msg::Ping>();
  co_await guest.say(line(msg::encode(msg::Pong{second.id})));
  co_await test::until("the time-out", [&] { return answers.size() == 3; });
  CHECK_FALSE(answers.back());
  CHECK(third.id != second.id);

  // A connection that is lost meanwhile: the next one begins with the question.
  tasks.spawn("over a new connection", ask(10s));
  co_await guest.hear<msg::Ping>();
  guest.leave();
  co_await test::until("the end", [&] { return scene.over; });
  tasks.spawn("converse again", scene.converse(link));
  co_await guest.accept();
  co_await guest.hear<msg::Attach>();
  const auto fourth = co_await guest.hear<msg::Ping>();
  co_await guest.say(line(msg::encode(msg::Pong{fourth.id})));
  co_await test::until("an answer", [&] { return answers.size() == 4; });
  CHECK(answers.back());

  tasks.spawn("closed", ask(10s));
  co_await guest.hear<msg::Ping>();
  link.close();
  co_await test::until("the end of the wait", [&] { return answers.size() == 5; });
  CHECK_FALSE(answers.back());
  CHECK(scene.heard.empty());
  co_await tasks.stop(1s);
}

awaitable<void> oversized_line(Scene& scene) {
  auto executor = co_await asio::this_coro::executor;
  GuestLink link(executor, scene.path);
  FakeGuest guest(executor, scene.path);
  TaskGroup tasks(executor);
  tasks.spawn("converse", scene.converse(link));
  co_await guest.accept();
  co_await guest.say(std::string(3 * msg::max_line_bytes, 'x') + "\n" +
                     line(msg::encode(msg::State{"starting", 1, ""})));
  co_await test::until("the message after", [&] { return scene.heard.size() == 1; });
  link.close();
  co_await test::until("the end", [&] { return scene.over; });
  co_await tasks.stop(1s);
}

awaitable<void> deaf_guest(Scene& scene) {
  auto executor = co_await asio::this_coro::executor;
  GuestLink link(executor, scene.path);
  FakeGuest guest(executor, scene.path);
  TaskGroup tasks(executor);
  tasks.spawn("converse", scene.converse(link));
  co_await guest.accept();
  co_await guest.hear<msg::Attach>();
  msg::Config config;
  config.hostname = std::string(200'000, 'h');
  for (int i = 0; i < 200 && !scene.over; ++i) {
    link.send(config);
    co_await sleep_for(0ms);
  }
  co_await test::until("the link gives up", [&] { return scene.over; });
  co_await tasks.stop(1s);
}

awaitable<void> nobody_there(Scene& scene) {
  GuestLink link(co_await asio::this_coro::executor, scene.path);
  co_await scene.converse(link);
  CHECK_FALSE(scene.talked);
  link.send(msg::Stop{1});  // nobody to hear it: forgotten
  link.close();
  co_await scene.converse(link);
  CHECK_FALSE(scene.talked);
}

awaitable<void> second_connection(Scene& scene) {
  auto executor = co_await asio::this_coro::executor;
  GuestLink link(executor, scene.path);
  FakeGuest guest(executor, scene.path);
  for (int i = 0; i < 2; ++i) {
    scene.over = false;
    TaskGroup tasks(executor);
    tasks.spawn("converse", scene.converse(link));
    co_await guest.accept();
    co_await guest.hear<msg::Attach>();
    guest.leave();
    co_await test::until("the end", [&] { return scene.over; });
    co_await tasks.stop(1s);
  }
}
}  // namespace

TEST_CASE("agent and guest talk in lines", "[agent]") {
  Scene scene;
  test::run(talk(scene));
}

TEST_CASE("a guest is asked whether it is there", "[agent]") {
  Scene scene;
  test::run(questions(scene));
}

TEST_CASE("a line over the bound is skipped to its end", "[agent]") {
  Scene scene;
  test::run(oversized_line(scene));
}

TEST_CASE("a guest that does not read is let go before it costs memory", "[agent]") {
  Scene scene;
  test::run(deaf_guest(scene));
}

TEST_CASE("nobody to connect to is no error, and a closed link stays closed", "[agent]") {
  Scene scene;
  test::run(nobody_there(scene));
}

TEST_CASE("each connection begins with attach", "[agent]") {
  Scene scene;
  test::run(second_connection(scene));
}
