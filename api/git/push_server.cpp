#include "api/git/push_server.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>

#include "api/clever/objects.hpp"
#include "api/git/repositories.hpp"
#include "api/stores/apps_store.hpp"
#include "api/stores/users_store.hpp"
#include "common/async/offload.hpp"
#include "common/log.hpp"

namespace karreg::api::git {

using namespace std::chrono_literals;
using nlohmann::json;

namespace {

constexpr auto poll_time = 300ms;
const std::string zero_id(40, '0');

struct PushRequest {
  std::string app_id;
  std::string user_id;
  bool detach = false;
  std::vector<RefCommand> commands;
};

/// What is to be done about a push.
struct Accepted {
  App app;
  std::optional<Deployment> deployment;  ///< none when the commit serves already
  bool attached = false;                 ///< it had been requested by an earlier push
};

std::optional<PushRequest> parse(const std::string& line) {
  const auto j = json::parse(line, nullptr, false);
  if (!j.is_object()) return std::nullopt;
  PushRequest request{j.value("app", ""), j.value("user", ""), j.value("detach", false), {}};
  for (const auto& command : j.value("commands", json::array()))
    request.commands.push_back(
        {command.value("old", ""), command.value("new", ""), command.value("ref", "")});
  return request;
}

std::string branch_of(const std::string& ref) {
  const std::string prefix = "refs/heads/";
  return ref.starts_with(prefix) ? ref.substr(prefix.size()) : std::string();
}

bool deploys(const App& app, const std::string& branch) {
  return app.branch ? branch == *app.branch : branch == "master" || branch == "main";
}

/// A hook's connection: lines for the pusher, verdicts on refs.
class Pusher {
 public:
  explicit Pusher(asio::local::stream_protocol::socket& socket) : socket_(socket) {}

  awaitable<void> line(std::string text) {
    const json message = {{"type", "line"}, {"text", std::move(text)}};
    co_await put(message);
  }
  awaitable<void> result(std::string ref, bool ok, std::string reason) {
    const json message = {
        {"type", "result"}, {"ref", std::move(ref)}, {"ok", ok}, {"reason", std::move(reason)}};
    co_await put(message);
  }
  awaitable<void> end() {
    const json message = {{"type", "end"}};
    co_await put(message);
  }
  /// Whether the pusher has left.
  bool gone() {
    if (gone_) return true;
    char byte = 0;
    const ssize_t n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    gone_ = n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
    return gone_;
  }

 private:
  awaitable<void> put(const json& message) {
    if (gone_) co_return;
    const std::string text = message.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    auto [ec, n] = co_await asio::async_write(socket_, asio::buffer(text), as_result);
    if (ec) gone_ = true;
  }
  asio::local::stream_protocol::socket& socket_;
  bool gone_ = false;
};

Result<Accepted> accept(const Services& services, const PushRequest& request,
                        const RefCommand* command) {
  return services.database.transact([&](pqxx::work& work) -> Result<Accepted> {
    auto user = get_user(work, request.user_id);
    if (!user) return user.error();
    auto app = get_app(work, {user->id, user->email, user->name, {}, 0, false}, request.app_id);
    if (!app) return app.error();
    Accepted accepted{*app, std::nullopt, false};
    if (command == nullptr) return accepted;
    for (const auto& deployment : list_deployments(work, app->id, 5)) {
      if (deployment.state != "WIP" || deployment.commit != command->new_id) continue;
      accepted.deployment = deployment;
      accepted.attached = true;
      return accepted;
    }
    if (app->serving_deployment && app->commit == command->new_id) return accepted;
    auto deployment = request_deployment(work, services.vault, *app,
                                         {"DEPLOY", "Git push", user->name, command->new_id, true});
    if (!deployment) return deployment.error();
    accepted.deployment = *deployment;
    return accepted;
  });
}

awaitable<Result<Deployment>> look(const Services& services, const std::string& app_id,
                                   const std::string& uuid) {
  auto read = [&] {
    return services.database.transact(
        [&](pqxx::work& work) -> Result<Deployment> { return get_deployment(work, app_id, uuid); });
  };
  auto deployment = co_await offload(services.pool, read);
  co_return deployment;
}

/// Shows a deployment live until it ends or the pusher leaves. Returns it as it then is.
awaitable<Deployment> show(const Services& services, Pusher& pusher, Deployment deployment) {
  LogFollower follower(services, deployment.app_id,
                       {broker::StreamStart::At::time, 0, deployment.requested_ms / 1000 - 1});
  bool said_away = false;
  int quiet_rounds_after_end = 0;
  while (!pusher.gone()) {
    auto lines = co_await follower.next(poll_time);
    for (auto& line : lines) {
      if (line.deployment_id != deployment.uuid) continue;
      const std::string prefix = line.service == "karreg" ? "-----> " : "       ";
      co_await pusher.line(prefix + line.message);
    }
    if (follower.away() && !said_away) {
      said_away = true;
      co_await pusher.line("-----> The live log is away for the moment; the deployment goes on");
    }
    if (!lines.empty()) continue;
    // The state is read between messages, so that the log is shown up to the end.
    if (deployment.state != "WIP" && ++quiet_rounds_after_end >= 2) break;
    auto fresh = co_await look(services, deployment.app_id, deployment.uuid);
    if (fresh) deployment = *fresh;
  }
  co_return deployment;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

/// Moves the branch for a pusher who did not wait for the verdict.
void move_for_absent(const Services& services, const PushRequest& request,
                     const RefCommand& command) {
  auto moved = move_branch(services.settings, request.app_id, branch_of(command.ref),
                           command.old_id, command.new_id);
  if (!moved)
    log::warn("branch not moved",
              {log::field("app", request.app_id), log::field("why", moved.error().message())});
}

awaitable<void> deploy(const Services& services, Pusher& pusher, const PushRequest& request,
                       const RefCommand& command) {
  auto begin = [&] { return accept(services, request, &command); };
  auto accepted = co_await offload(services.pool, begin);
  if (!accepted) {
    co_await pusher.result(command.ref, false, first_line(accepted.error().message()));
    co_return;
  }
  const App& app = accepted->app;
  if (!accepted->deployment) {
    co_await pusher.line("-----> Commit " + command.new_id.substr(0, 8) + " of " + app.name +
                         " is in service already");
    co_await pusher.result(command.ref, true, "");
    co_return;
  }
  Deployment deployment = *accepted->deployment;
  auto keep = [&] {
    return keep_commit(services.settings, app.id, deployment.number, command.new_id);
  };
  auto kept = co_await offload(services.pool, keep);
  if (!kept)
    log::error("commit not kept",
               {log::field("app", app.id), log::field("why", kept.error().message())});
  co_await pusher.line(fmt::format("-----> Deployment {} of {} ({})", deployment.number, app.name,
                                   command.new_id.substr(0, 8)));
  if (request.detach) {
    co_await pusher.result(command.ref, true, "");
    co_return;
  }
  if (accepted->attached) co_await pusher.line("-----> It is on its way already: showing it");
  deployment = co_await show(services, pusher, deployment);
  if (pusher.gone()) {
    auto move = [&] { move_for_absent(services, request, command); };
    co_await offload(services.pool, move);
    co_return;
  }
  if (deployment.state == "OK") {
    if (!app.vhosts.empty())
      co_await pusher.line("-----> " + clever::visit_url(services.settings, app.vhosts.front()));
    co_await pusher.result(command.ref, true, "");
  } else {
    const std::string verb =
        deployment.state == "CANCELLED" ? "deployment cancelled: " : "deployment failed: ";
    co_await pusher.result(command.ref, false, verb + first_line(deployment.message));
  }
}

}  // namespace

PushServer::PushServer(asio::any_io_executor executor, const Services& services)
    : executor_(executor), services_(services), acceptor_(executor), tasks_(executor) {}

Result<void> PushServer::start() {
  const std::string path = services_.settings.hook_socket;
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  std::filesystem::remove(path, ignored);
  error_code ec;
  acceptor_.open(asio::local::stream_protocol(), ec);
  if (!ec) acceptor_.bind(asio::local::stream_protocol::endpoint(path), ec);
  ::chmod(path.c_str(), 0600);
  if (!ec) acceptor_.listen(128, ec);
  if (ec)
    return Error(ErrorKind::unavailable,
                 "cannot listen for git hooks on " + path + ": " + ec.message());
  tasks_.spawn("hook listener", listen());
  return ok();
}

awaitable<void> PushServer::listen() {
  for (;;) {
    auto [ec, socket] = co_await acceptor_.async_accept(as_result);
    if (ec) co_return;
    tasks_.spawn("push", serve(std::move(socket)));
  }
}

awaitable<void> PushServer::serve(Socket socket) {
  std::string buffer;
  auto [ec, n] = co_await asio::async_read_until(socket, asio::dynamic_buffer(buffer, 1024 * 1024),
                                                 '\n', as_result);
  if (ec) co_return;
  auto request = parse(buffer.substr(0, n));
  if (!request) co_return;
  Pusher pusher(socket);
  auto glance = [&] { return accept(services_, *request, nullptr); };
  auto known = co_await offload(services_.pool, glance);
  const RefCommand* deploying = nullptr;
  for (const auto& command : request->commands) {
    const std::string branch = branch_of(command.ref);
    if (!known) {
      co_await pusher.result(command.ref, false, first_line(known.error().message()));
    } else if (command.new_id == zero_id) {
      co_await pusher.result(command.ref, false, "deleting a branch is not offered");
    } else if (!deploys(known->app, branch)) {
      co_await pusher.line(
          fmt::format("-----> Branch {} is stored; pushes to {} deploy. To deploy this one: git "
                      "push <remote> {}:{}",
                      branch, known->app.branch.value_or("master or main"), branch,
                      known->app.branch.value_or("master")));
      co_await pusher.result(command.ref, true, "");
    } else if (deploying != nullptr) {
      co_await pusher.result(command.ref, false, "push one deploying branch at a time");
    } else {
      deploying = &command;
    }
  }
  if (deploying != nullptr) co_await deploy(services_, pusher, *request, *deploying);
  co_await pusher.end();
}

awaitable<void> PushServer::stop() {
  error_code ignored;
  acceptor_.close(ignored);
  co_await tasks_.stop(200ms);
}

}  // namespace karreg::api::git
