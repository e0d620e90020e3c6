#include "reverse-proxy/master/tcp_ports.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

#include "common/json.hpp"
#include "common/log.hpp"
#include "reverse-proxy/listeners.hpp"
#include "reverse-proxy/master/child.hpp"
#include "reverse-proxy/master/line.hpp"

namespace karreg::proxy {

namespace {
using nlohmann::json;

constexpr std::chrono::seconds try_again_after{5};
/// In one message; the kernel takes 253 (SCM_MAX_FD).
constexpr std::size_t descriptors_at_once = 200;

PortWishes::Ports ports_in(std::string_view list) {
  PortWishes::Ports ports;
  while (!list.empty()) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(list.data(), list.data() + list.size(), port);
    if (error != std::errc{}) break;
    ports.insert(port);
    list.remove_prefix(static_cast<std::size_t>(end - list.data()));
    if (!list.empty()) list.remove_prefix(1);
  }
  return ports;
}
}  // namespace

TcpPorts::TcpPorts(std::string address, PortRange allowed, int sockets, Tell tell)
    : address_(std::move(address)), allowed_(allowed), sockets_(sockets), tell_(std::move(tell)) {}

void TcpPorts::needs(Process process, std::string_view list, Time now) {
  if (closed_) return;
  wishes_.needs(process, ports_in(list));
  auto& recipient = recipients_[process];
  const auto needed = wishes_.of(process);
  // What it no longer needs it has closed, and would have to be given again.
  std::erase_if(recipient.given, [&](auto port) { return !needed.contains(port); });
  std::erase_if(recipient.told_why, [&](const auto& told) { return !needed.contains(told.first); });
  // Only for who takes them at once: what connects waits in them.
  for (const auto port : needed)
    if (!recipient.given.contains(port)) add_missing(port);
  reconcile(now);
}

void TcpPorts::taken(Process process, Time now) {
  const auto recipient = recipients_.find(process);
  if (recipient == recipients_.end()) return;
  recipient->second.busy = false;
  serve(process, now);
}

void TcpPorts::gone(Process process) {
  wishes_.gone(process);
  recipients_.erase(process);
  const auto needed = wishes_.all();
  std::erase_if(open_, [&](const auto& port) { return !needed.contains(port.first); });
  std::erase_if(refused_, [&](const auto& port) { return !needed.contains(port.first); });
}

void TcpPorts::close() {
  closed_ = true;
  open_.clear();
  refused_.clear();
  try_again_at_ = Time::max();
}

void TcpPorts::pass(Time now) {
  if (now >= try_again_at_) reconcile(now);
}

void TcpPorts::reconcile(Time now) {
  const auto needed = wishes_.all();
  std::erase_if(open_, [&](const auto& port) { return !needed.contains(port.first); });
  std::erase_if(refused_, [&](const auto& port) { return !needed.contains(port.first); });
  for (const auto port : needed) {
    auto why = open(port);
    auto& known = refused_[port];
    if (!why.empty() && known != why)
      log::error("the port of a TCP service is not open",
                 {log::field("port", port), log::field("why", why)});
    if (why.empty() && !known.empty())
      log::info("the port of a TCP service is open now", {log::field("port", port)});
    known = std::move(why);
    if (known.empty()) refused_.erase(port);
  }
  try_again_at_ = refused_.empty() ? Time::max() : now + try_again_after;
  for (const auto process : wishes_.speakers()) serve(process, now);
}

std::string TcpPorts::open(std::uint16_t port) {
  if (address_.empty()) return "setting proxy.tcp_listen is empty";
  if (!allowed_.contains(port))
    return fmt::format("it is not among those of setting tcp.ports, {}-{}", allowed_.first,
                       allowed_.last);
  if (open_.contains(port)) return {};
  const Endpoint where{address_, port};
  // Others of this user that share their ports, such as another proxy, would get some of the
  // connections, and we some of theirs: the kernel refuses who does not share.
  auto open_all = [&](auto open_some) {
    if (auto alone = open_some(where, 1, false, "proxy.tcp_listen"); !alone) return alone;
    return open_some(where, sockets_, true, "proxy.tcp_listen");
  };
  auto sockets = open_all(open_listeners);
  if (!sockets) return sockets.error().message();
  auto datagrams = open_all(open_datagram_sockets);
  if (datagrams)
    std::ranges::move(*datagrams, std::back_inserter(*sockets));
  else
    // Most services have none: they are served, whoever has that port of UDP.
    log::warn("a service gets no datagrams",
              {log::field("port", port), log::field("why", datagrams.error().message())});
  open_.emplace(port, std::move(*sockets));
  return {};
}

void TcpPorts::add_missing(std::uint16_t port) {
  const auto there = open_.find(port);
  if (there == open_.end()) return;
  // Those that are there stay, however few workers there are now: connections wait in them.
  auto& sockets = there->second;
  const auto udp = static_cast<int>(std::ranges::count_if(sockets, is_for_datagrams));
  const auto tcp = static_cast<int>(sockets.size()) - udp;
  const Endpoint where{address_, port};
  auto add = [&](auto open_more, int missing) {
    if (missing <= 0) return;
    if (auto more = open_more(where, missing, true, "proxy.tcp_listen"))
      std::ranges::move(*more, std::back_inserter(sockets));
  };
  add(open_listeners, sockets_ - tcp);
  add(open_datagram_sockets, sockets_ - udp);
}

void TcpPorts::serve(Process process, Time now) {
  auto& recipient = recipients_[process];
  const auto needed = wishes_.of(process);
  for (const auto& [port, why] : refused_) {
    auto& told = recipient.told_why[port];
    if (!needed.contains(port) || told == why) continue;
    if (tell_(process, fmt::format("{} {} {}", line::tcp_refused, port, why), {})) told = why;
  }
  if (recipient.busy) return;
  std::string list;
  std::vector<int> descriptors;
  PortWishes::Ports given;
  for (const auto port : needed) {
    const auto sockets = open_.find(port);
    if (sockets == open_.end() || recipient.given.contains(port)) continue;
    if (descriptors.size() + sockets->second.size() > descriptors_at_once) break;
    for (const auto& socket : sockets->second) {
      list += fmt::format("{}{}", list.empty() ? "" : ",", port);
      descriptors.push_back(socket.get());
    }
    given.insert(port);
    recipient.told_why.erase(port);
  }
  if (descriptors.empty()) return;
  recipient.busy = tell_(process, fmt::format("{} {}", line::tcp_sockets, list), descriptors);
  if (recipient.busy)
    recipient.given.merge(given);
  else
    try_again_at_ = std::min(try_again_at_, now + try_again_after);
}

std::string TcpPorts::state() const {
  auto open = json::array();
  for (const auto& [port, sockets] : open_) {
    auto numbers = json::array();
    for (const auto& socket : sockets) numbers.push_back(socket.get());
    open.push_back({{"port", port}, {"sockets", std::move(numbers)}});
  }
  auto recipients = json::array();
  for (const auto& [process, recipient] : recipients_)
    recipients.push_back(
        {{"process", process}, {"given", recipient.given}, {"busy", recipient.busy}});
  return json{{"address", address_},
              {"wishes", wishes_.state()},
              {"open", std::move(open)},
              {"recipients", std::move(recipients)}}
      .dump();
}

void TcpPorts::keep_on_exec(bool keep) const {
  for (const auto& [port, sockets] : open_)
    for (const auto& socket : sockets) proxy::keep_on_exec(socket.get(), keep);
}

void TcpPorts::adopt(const std::string& state, Time now) {
  const auto all = json::parse(state);
  wishes_ = PortWishes::adopt(all.at("wishes"));
  for (const auto& recipient : all.at("recipients"))
    recipients_[recipient.at("process").get<Process>()] = {
        recipient.at("given").get<PortWishes::Ports>(), {}, recipient.at("busy").get<bool>()};
  std::map<std::uint16_t, std::vector<Descriptor>> before;
  for (const auto& entry : all.at("open"))
    for (const int socket : entry.at("sockets")) {
      before[entry.at("port").get<std::uint16_t>()].emplace_back(socket);
      proxy::keep_on_exec(socket, false);
    }
  // At another address, or out of the range of now, they are not wanted; the process that leaves
  // has its own descriptors.
  if (all.at("address").get<std::string>() == address_)
    for (auto& [port, sockets] : before)
      if (allowed_.contains(port)) open_.emplace(port, std::move(sockets));
  reconcile(now);
}

}  // namespace karreg::proxy
