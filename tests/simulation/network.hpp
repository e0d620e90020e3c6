#pragma once
/// The broker as its users may think of it: what is sent comes late, twice, out of order, or never.

#include <functional>
#include <map>
#include <variant>

#include "common/wire/host.hpp"
#include "common/wire/routes.hpp"
#include "common/wire/traffic.hpp"
#include "dice.hpp"

namespace karreg::simulation {

using Payload = std::variant<wire::HostDesired, wire::HostReport, wire::RouteUpdate,
                             wire::RouteSnapshot, wire::ProxyReport, wire::TrafficReport>;

struct Message {
  std::string to;
  Payload payload;
};

enum class Receiver {
  takes,
  keeps,  ///< is away, its queue is durable
  loses,  ///< is away, and its queue with it
};

class Network {
 public:
  explicit Network(Dice& dice) : dice_(dice) {}

  bool faulty = true;
  Time down_until{};  ///< the broker is away

  void send(Time now, const std::string& to, const Payload& payload) {
    if (faulty && dice_.chance(15)) return;
    enqueue(now, to, payload);
    if (faulty && dice_.chance(30)) enqueue(now, to, payload);
  }

  /// Hands out what is due, in order of arrival.
  void deliver(Time now, const std::function<Receiver(const std::string&)>& receiver,
               const std::function<void(const Message&)>& take) {
    if (now < down_until) return;
    std::multimap<Time, Message> kept;
    while (!queue_.empty() && queue_.begin()->first <= now) {
      auto node = queue_.extract(queue_.begin());
      switch (receiver(node.mapped().to)) {
        case Receiver::takes:
          take(node.mapped());
          break;
        case Receiver::keeps:
          kept.insert(std::move(node));
          break;
        case Receiver::loses:
          break;
      }
    }
    queue_.merge(kept);
  }

 private:
  void enqueue(Time now, const std::string& to, const Payload& payload) {
    auto delay = dice_.between(1ms, 30ms);
    if (faulty && dice_.chance(20)) delay = dice_.between(30ms, 6s);
    queue_.emplace(now + delay, Message{to, payload});
  }

  Dice& dice_;
  std::multimap<Time, Message> queue_;
};

}  // namespace karreg::simulation
