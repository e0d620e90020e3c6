#include "reverse-proxy/ctl/server.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <set>

#include "common/log.hpp"
#include "common/wire/json.hpp"
#include "reverse-proxy/admin.hpp"

namespace karreg::proxy {

using nlohmann::json;
using namespace std::chrono_literals;

namespace {
/// At the operator's leisure; a table is read in much less.
constexpr auto talk_time = 30s;
constexpr mode_t nobody_else = 0177;
/// Connections at once.
constexpr std::size_t most_talks = 16;

json as_json(const Error& error) {
  return {{"error", error.message()}, {"kind", to_string(error.kind())}};
}

json as_json(const Traffic& traffic) {
  return {{"answers", traffic.answers},
          {"times", traffic.times},
          {"times_us", traffic.times_us},
          {"retries", traffic.retries},
          {"bytes_in", traffic.bytes_in},
          {"bytes_out", traffic.bytes_out},
          {"tcp_connections", traffic.tcp_connections},
          {"tcp_failures", traffic.tcp_failures}};
}

json as_json(const std::map<std::uint16_t, std::string>& ports) {
  auto result = json::object();
  for (const auto& [port, state] : ports) result[std::to_string(port)] = state;
  return result;
}

json as_json(const std::map<std::string, Traffic>& all) {
  auto result = json::object();
  for (const auto& [name, traffic] : all) result[name] = as_json(traffic);
  return result;
}
}  // namespace

std::filesystem::path ctl_socket(const std::filesystem::path& saved_routes) {
  auto path = saved_routes;
  return path.replace_extension(".sock");
}

CtlServer::CtlServer(asio::io_context& io, int process, Proxy& proxy, Control& control)
    : io_(io),
      process_(process),
      proxy_(proxy),
      control_(control),
      acceptor_(io),
      tasks_(io.get_executor()) {}

Result<void> CtlServer::start(const std::filesystem::path& path) {
  using asio::local::stream_protocol;
  auto failure = [&](const std::string& why) {
    return Error(ErrorKind::unavailable,
                 fmt::format("no control socket at {}: {}", path.string(), why));
  };
  const auto fresh = path.string() + fmt::format(".{}", ::getpid());
  error_code ec;
  stream_protocol::endpoint where;
  try {
    where.path(fresh);
  } catch (const boost::system::system_error&) {
    return failure("the path is too long for a socket (unix(7))");
  }
  std::error_code ignored;
  std::filesystem::create_directories(path.parent_path(), ignored);
  ::unlink(fresh.c_str());
  acceptor_.open(stream_protocol(), ec);
  const auto before = ::umask(nobody_else);
  if (!ec) acceptor_.bind(where, ec);
  ::umask(before);
  if (!ec) acceptor_.listen(asio::socket_base::max_listen_connections, ec);
  // The name leads to this process from here on, and never to nobody.
  if (!ec && ::rename(fresh.c_str(), path.c_str()) != 0)
    ec.assign(errno, boost::system::system_category());
  if (ec) {
    error_code closing;
    acceptor_.close(closing);
    return failure(ec.message());
  }
  tasks_.spawn("ctl", accept());
  return ok();
}

awaitable<void> CtlServer::stop() {
  error_code ignored;
  acceptor_.close(ignored);
  co_await tasks_.stop(100ms);
}

awaitable<void> CtlServer::accept() {
  for (;;) {
    auto [ec, socket] = co_await acceptor_.async_accept(as_result);
    if (ec == asio::error::operation_aborted || !acceptor_.is_open()) co_return;
    if (ec || tasks_.size() > most_talks) {
      if (ec && !co_await sleep_for(100ms)) co_return;
      continue;
    }
    tasks_.spawn("ctl", talk(std::move(socket)));
  }
}

awaitable<void> CtlServer::talk(Socket socket) {
  asio::steady_timer deadline(io_, talk_time);
  deadline.async_wait([&socket](const error_code& ec) {
    error_code ignored;
    if (!ec) socket.close(ignored);
  });
  std::string question;
  auto [unread, size] = co_await asio::async_read_until(
      socket, asio::dynamic_buffer(question, longest_ctl_message), '\n', as_result);
  if (unread) co_return;
  question.resize(size);
  const auto text = answer(question).dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  auto [unsent, written] = co_await asio::async_write(socket, asio::buffer(text), as_result);
  if (unsent)
    log::warn("a control answer was not taken",
              {log::field("why", unsent.message()), log::field("bytes", written)});
}

json CtlServer::status() {
  const auto control = control_.status();
  return {{"process", process_},
          {"pid", ::getpid()},
          {"master", ::getppid()},
          {"version", control.version},
          {"workers", proxy_.versions()},
          {"has_table", control.has_table},
          {"waits_for_scheduler", control.wants_snapshot},
          {"connections", proxy_.open_connections()},
          {"tcp_ports", as_json(proxy_.tcp_ports())},
          {"draining", proxy_.in_use().draining},
          {"held", proxy_.held_apps().now()}};
}

json CtlServer::traffic() {
  const auto all = proxy_.traffic();
  if (!all) return as_json(all.error());
  auto in_hand = json::object();
  const auto live = proxy_.live_routes();
  if (live) {
    // An instance has one for requests and one for TCP, each maybe in several routes.
    std::set<const Backend*> counted;
    auto count = [&](const auto& route) {
      for (const auto& backend : route.backends) {
        const int now = backend->in_flight();
        if (now <= 0 || !counted.insert(backend.get()).second) continue;
        auto& sum = in_hand[route.app_id][backend->instance_id];
        sum = now + (sum.is_null() ? 0 : sum.template get<int>());
      }
    };
    for (const auto* host : live->hosts())
      for (const auto& route : *live->of_host(*host)) count(route);
    for (const auto& [port, route] : live->tcp()) count(route);
  }
  return {{"apps", as_json(all->apps)},
          {"instances", as_json(all->instances)},
          {"in_hand", std::move(in_hand)},
          {"held", proxy_.held_apps().now()}};
}

Result<json> CtlServer::use(const json& question) {
  auto snapshot = wire::from_text<wire::RouteSnapshot>(question.dump(), "the table");
  if (!snapshot) return snapshot.error();
  for (const auto& route : snapshot->routes) {
    auto checked = check_route(route);
    if (!checked) return checked.error();
  }
  for (const auto& route : snapshot->tcp_routes) {
    auto checked = check_route(route);
    if (!checked) return checked.error();
  }
  const auto routes = snapshot->routes.size() + snapshot->tcp_routes.size();
  auto used = control_.use_by_hand(std::move(*snapshot));
  if (!used) return used.error();
  return json{{"routes", routes}, {"workers", proxy_.versions().size()}};
}

json CtlServer::answer(const std::string& question) {
  const auto asked = json::parse(question, nullptr, false);
  const auto what = asked.is_object() ? asked.value("do", json()) : json();
  if (what == "status") return status();
  if (what == "traffic") return traffic();
  if (what == "routes") {
    const auto host = asked.value("host", json(""));
    if (!host.is_string())
      return as_json(Error(ErrorKind::invalid, "\"host\" must be the name of a host"));
    return describe_routes(proxy_, host.get<std::string>());
  }
  if (what == "use") {
    auto used = use(asked);
    return used ? *used : as_json(used.error());
  }
  return as_json(Error(ErrorKind::invalid, R"("do" must be status, routes, traffic or use)"));
}

}  // namespace karreg::proxy
