#include "reverse-proxy/master/port_wishes.hpp"

namespace karreg::proxy {

void PortWishes::needs(Process process, Ports ports) {
  if (gone_.contains(process)) return;
  wishes_[process] = std::move(ports);
  for (const auto other : gone_) wishes_.erase(other);
}

void PortWishes::gone(Process process) {
  gone_.insert(process);
  // Others have spoken.
  if (!speakers().empty()) wishes_.erase(process);
}

PortWishes::Ports PortWishes::all() const {
  Ports all;
  for (const auto& [process, ports] : wishes_) all.insert(ports.begin(), ports.end());
  return all;
}

PortWishes::Ports PortWishes::of(Process process) const {
  const auto found = wishes_.find(process);
  return found == wishes_.end() || gone_.contains(process) ? Ports{} : found->second;
}

std::set<PortWishes::Process> PortWishes::speakers() const {
  std::set<Process> all;
  for (const auto& [process, ports] : wishes_)
    if (!gone_.contains(process)) all.insert(process);
  return all;
}

nlohmann::json PortWishes::state() const {
  auto wishes = nlohmann::json::array();
  for (const auto& [process, ports] : wishes_)
    wishes.push_back({{"process", process}, {"ports", ports}});
  return {{"wishes", std::move(wishes)}, {"gone", gone_}};
}

PortWishes PortWishes::adopt(const nlohmann::json& state) {
  PortWishes adopted;
  for (const auto& wish : state.at("wishes"))
    adopted.wishes_[wish.at("process").get<Process>()] = wish.at("ports").get<Ports>();
  adopted.gone_ = state.at("gone").get<std::set<Process>>();
  return adopted;
}

}  // namespace karreg::proxy
