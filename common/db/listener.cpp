#include "common/db/listener.hpp"

#include <algorithm>
#include <pqxx/pqxx>

#include "common/db/session.hpp"
#include "common/log.hpp"

namespace karreg::db {

using namespace std::chrono_literals;

namespace {
struct Receiver : pqxx::notification_receiver {
  using notification_receiver::notification_receiver;
  void operator()(const std::string&, int) override {}
};
}  // namespace

Listener::Listener(const std::string& url, std::string channel, std::chrono::milliseconds at_least,
                   std::function<void()> on_news)
    : url_(with_timeouts(url)),
      channel_(std::move(channel)),
      at_least_(at_least),
      on_news_(std::move(on_news)),
      thread_([this] { run(); }) {}

Listener::~Listener() {
  stop();
}

void Listener::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void Listener::serve() {
  pqxx::connection connection(url_);
  const Receiver receiver(connection, channel_);
  auto next = std::chrono::steady_clock::now();
  while (!stopping_) {
    const int notified = connection.await_notification(0, 100'000);
    if (notified == 0 && std::chrono::steady_clock::now() < next) continue;
    on_news_();
    next = std::chrono::steady_clock::now() + at_least_;
  }
}

void Listener::run() {
  while (!stopping_) {
    try {
      serve();
    } catch (const std::exception& e) {
      log::warn("database is away", {log::field("channel", channel_), log::field("why", e.what())});
      for (int i = 0; i < 25 && !stopping_; ++i) std::this_thread::sleep_for(20ms);
    }
  }
}

}  // namespace karreg::db
