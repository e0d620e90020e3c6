#pragma once
/// Which instance gets a connection, or the datagrams of a sender, that came to the port of a
/// service.

#include <functional>
#include <optional>
#include <span>
#include <string>

#include "reverse-proxy/balance.hpp"
#include "reverse-proxy/live_routes.hpp"

namespace karreg::proxy {

class Worker;

enum class PortPicked { instance, no_route, nothing_serves, app_busy, all_failed };

/// Index into the candidates, which are the route's backends; nothing when none will do.
using ChooseForPort =
    std::function<std::optional<std::size_t>(std::span<const Candidate>, const LiveTcpRoute&)>;

/// @p app becomes whose port it is, and @p at the instance that @p choose has named, if it says
/// `instance`. Those in @p tried have failed already.
PortPicked pick_for_port(Worker& worker, std::uint16_t port, std::span<const Backend* const> tried,
                         const ChooseForPort& choose, std::string& app, InFlight& at);

}  // namespace karreg::proxy
