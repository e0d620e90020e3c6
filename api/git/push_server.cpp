#include "api/git/push_server.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/read_until.hpp>
#include <filesystem>

#include "api/clever/objects.hpp"
#include "api/git/branches.hpp"
#include "api/git/push_rules.hpp"
#include "api/git/repositories.hpp"
#include "api/logs/follower.hpp"
#include "api/stores/apps_store.hpp"
#include "api/stores/open_pushes_store.hpp"
#include "api/stores/users_store.hpp"
#include "common/async/offload.hpp"
#include "common/broker/topology.hpp"
#include "common/http/message.hpp"
#include "common/json.hpp"
#include "common/log.hpp"

namespace karreg::api::git {

using namespace std::chrono_literals;
using nlohmann::json;

namespace {

constexpr auto poll_time = 300ms;
/// How long lines are awaited that were written before the deployment ended.
constexpr int quiet_polls_after_end = 2;
constexpr auto longest_after_end = 5s;
const std::string step = "-----> ";

struct PushRequest {
  std::string app_id;
  std::string user_id;
  bool waits = true;  ///< false: the pusher wants the answer as soon as the deployment is recorded
  bool shallow = false;  ///< the pusher has only a part of the history
  std::vector<std::string> unknown_options;
  std::vector<RefCommand> commands;
};

/// What is to be done about a push.
struct Accepted {
  App app;
  Deployment deployment;
  bool attached = false;  ///< it had been requested by an earlier push
};

Result<PushRequest> parse(const std::string& line) {
  const auto j = json::parse(line, nullptr, false);
  try {
    PushRequest request;
    request.app_id = j.at("app").get<std::string>();
    request.user_id = j.at("user").get<std::string>();
    request.waits = !j.at("polls").get<bool>();
    request.shallow = j.at("shallow").get<bool>();
    for (const auto& option : j.at("options")) {
      const auto text = option.get<std::string>();
      if (text == "detach")
        request.waits = false;
      else
        request.unknown_options.push_back(text);
    }
    for (const auto& command : j.at("commands"))
      request.commands.push_back({command.at("old"), command.at("new"), command.at("ref")});
    return request;
  } catch (const json::exception& e) {
    return Error(ErrorKind::invalid,
                 std::string("the git hook is of another version: ") + e.what());
  }
}

Result<App> app_of(pqxx::work& work, const PushRequest& request) {
  auto user = get_user(work, request.user_id);
  if (!user) return user.error();
  return get_app(work, {user->id, user->email, user->name, {}, 0, false}, request.app_id);
}

OpenPush open_push_of(const Services& services, const PushRequest& request,
                      const RefCommand& command, const Deployment& deployment) {
  return {deployment.uuid, deployment.app_id, deployment.state, deployment.number, command.ref,
          command.old_id,  command.new_id,    request.shallow,  services.process};
}

/// The pusher knows the end. Left open, it is adopted later, and there is nothing to move then.
void close(const Services& services, const std::string& deployment) {
  auto closed = services.database.transact([&](pqxx::work& work) -> Result<void> {
    close_push(work, deployment);
    return ok();
  });
  if (!closed)
    log::warn("push not closed",
              {log::field("deployment", deployment), log::field("why", closed.error().message())});
}

/// Finds or records the deployment of @p command.
Result<Accepted> accept(const Services& services, const PushRequest& request,
                        const RefCommand& command) {
  auto is_commit = has_commit(services.settings, request.app_id, command.new_id);
  if (!is_commit) return is_commit.error();
  if (!*is_commit)
    return Error(ErrorKind::invalid,
                 command.new_id +
                     " is no commit: push a commit, or the one that a tag names "
                     "(TAG^{commit}:" +
                     branch_of(command.ref) + ")");
  return services.database.transact([&](pqxx::work& work) -> Result<Accepted> {
    auto user = get_user(work, request.user_id);
    if (!user) return user.error();
    auto app = app_of(work, request);
    if (!app) return app.error();
    Accepted accepted{*app, {}, false};
    for (const auto& deployment : list_deployments(work, app->id, 5)) {
      if (deployment.state != "WIP" || deployment.commit != command.new_id) continue;
      accepted.deployment = deployment;
      accepted.attached = true;
      open_push(work, open_push_of(services, request, command, deployment));
      return accepted;
    }
    const DeploymentRequest wanted{"DEPLOY", "Git push", user->name, command.new_id, true};
    Result<bool> serves = false;
    if (app->commit == command.new_id) serves = serves_as_wanted(work, services.vault, *app);
    if (!serves) return serves.error();
    auto deployment = *serves ? record_in_service(work, services.vault, *app, wanted)
                              : request_deployment(work, services.vault, *app, wanted);
    if (!deployment) return deployment.error();
    accepted.deployment = *deployment;
    open_push(work, open_push_of(services, request, command, *deployment));
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
  LogFollower follower(services, broker::log_stream(deployment.app_id),
                       {broker::StreamStart::At::time, 0, deployment.requested_ms / 1000 - 1});
  bool said_away = false;
  bool said_blind = false;
  int quiet_polls = 0;
  auto next_look = std::chrono::steady_clock::now();
  std::optional<SteadyTime> ended;
  while (!pusher.gone()) {
    auto lines = co_await follower.next(poll_time);
    for (auto& line : lines) {
      if (line.deployment_id != deployment.uuid) continue;
      const std::string prefix = line.service == "karreg" ? step : "       ";
      const std::string worker = line.process.empty() ? "" : "[" + line.process + "] ";
      co_await pusher.line(prefix + worker + line.message);
    }
    if (follower.away() && !said_away) {
      said_away = true;
      co_await pusher.line(step + "The live log is away for the moment; the deployment goes on");
    }
    const auto now = std::chrono::steady_clock::now();
    if (ended) {
      // The last lines come a little later than the end itself; a log that is not open yet says
      // nothing about them.
      quiet_polls = lines.empty() && follower.attached() ? quiet_polls + 1 : 0;
      if (quiet_polls >= quiet_polls_after_end || now > *ended + longest_after_end) break;
      continue;
    }
    if (now < next_look) continue;
    next_look = now + poll_time;
    auto fresh = co_await look(services, deployment.app_id, deployment.uuid);
    if (!fresh && fresh.error().kind() == ErrorKind::not_found) {
      deployment.state = "CANCELLED";
      deployment.message = "the application was deleted";
      break;
    }
    if (!fresh) {
      if (!said_blind)
        co_await pusher.line(
            step + "The platform's database is away for the moment; the deployment goes on");
      said_blind = true;
      continue;
    }
    said_blind = false;
    if (follower.away() && fresh->phase != deployment.phase)
      co_await pusher.line(step + "Now: " + fresh->phase);
    deployment = *fresh;
    if (deployment.state != "WIP") ended = now;
  }
  co_return deployment;
}

/// The branch is moved, and the pusher told so; while the database is away that is tried again,
/// since nobody else moves it as long as this process lives. False: it is not moved, and the push
/// stays open.
awaitable<bool> settle(const Services& services, Pusher& pusher, OpenPush push) {
  auto move = [&] { return move_branch_for(services, push); };
  auto was = co_await offload(services.pool, move);
  for (bool said = false; !was && was.error().kind() == ErrorKind::unavailable; said = true) {
    if (!said) {
      log::warn("branch not moved yet",
                {log::field("app", push.app_id), log::field("why", was.error().message())});
      co_await pusher.line(step +
                           "The platform's database is away for the moment; the branch is moved as "
                           "soon as it is back");
    }
    const bool slept = co_await sleep_for(poll_time);
    if (!slept) co_return false;
    was = co_await offload(services.pool, move);
  }
  if (!was) {
    log::error("branch not moved",
               {log::field("app", push.app_id), log::field("why", was.error().message())});
    co_await pusher.refuse(push.ref, "deployment " + std::to_string(push.number) +
                                         " goes its way, but the branch cannot be moved now: " +
                                         http::public_message(was.error()));
    co_return false;
  }
  if (pusher.gone())
    log::info("pusher left, the deployment goes on",
              {log::field("app", push.app_id), log::field("commit", push.new_id)});
  // To the client a move from where it saw the branch is nothing to mention.
  const bool elsewhere = *was && **was != push.old_id && **was != push.new_id;
  co_await pusher.moved(push.ref, elsewhere ? **was : std::string());
  co_return true;
}

std::string verdict_text(const Deployment& deployment) {
  const bool cancelled = deployment.state == "CANCELLED";
  std::string text =
      fmt::format("deployment {} {}", deployment.number, cancelled ? "was cancelled" : "failed");
  if (!deployment.message.empty()) text += ": " + deployment.message;
  return text;
}

awaitable<void> deploy(const Services& services, Pusher& pusher, const PushRequest& request,
                       const RefCommand& command) {
  auto begin = [&] { return accept(services, request, command); };
  auto accepted = co_await offload(services.pool, begin);
  if (!accepted) {
    co_await pusher.refuse(command.ref, http::public_message(accepted.error()));
    co_return;
  }
  const App& app = accepted->app;
  const std::string commit = command.new_id.substr(0, 8);
  Deployment deployment = accepted->deployment;
  auto keep = [&] {
    return keep_commit(services.settings, app.id, deployment.number, command.new_id);
  };
  auto kept = co_await offload(services.pool, keep);
  if (!kept)
    log::error("commit not kept",
               {log::field("app", app.id), log::field("why", kept.error().message())});
  co_await pusher.line(
      fmt::format("{}Deployment {} of {} ({})", step, deployment.number, app.name, commit));
  if (deployment.state == "OK") {
    co_await pusher.line(
        fmt::format("{}Commit {} of {} is in service already", step, commit, app.name));
  } else if (!request.waits) {
    co_await pusher.line(step + "It goes on without this push: see the application's activity");
  } else {
    if (accepted->attached)
      co_await pusher.line(step + "It was begun by an earlier push: here is how it goes");
    deployment = co_await show(services, pusher, deployment);
  }
  bool done = true;
  if (deployment.state == "FAIL" || deployment.state == "CANCELLED") {
    co_await pusher.refuse(command.ref, verdict_text(deployment));
  } else {
    if (deployment.state == "OK" && !app.vhosts.empty())
      co_await pusher.line(step + clever::visit_url(services.settings, app.vhosts.front()));
    done = co_await settle(services, pusher, open_push_of(services, request, command, deployment));
  }
  if (!done) co_return;
  auto told = [&] { close(services, deployment.uuid); };
  co_await offload(services.pool, told);
}

/// One push, whose app is known to be the pusher's.
awaitable<void> answer(const Services& services, Pusher& pusher, const PushRequest& request,
                       const App& app) {
  for (const auto& option : request.unknown_options)
    co_await pusher.line(step + "The push option \"" + option +
                         "\" is not known here and is ignored; there is: detach");
  const auto verdicts = judge(request.commands, app.branch);
  const RefCommand* deploying = nullptr;
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    const auto& command = request.commands[i];
    switch (verdicts[i].kind) {
      case Verdict::Kind::deploy:
        deploying = &command;
        break;
      case Verdict::Kind::store:
        co_await pusher.line(step + verdicts[i].text);
        co_await pusher.accept(command.ref);
        break;
      case Verdict::Kind::refuse:
        co_await pusher.refuse(command.ref, verdicts[i].text);
        break;
    }
  }
  if (deploying != nullptr) co_await deploy(services, pusher, request, *deploying);
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
    if (ec == asio::error::operation_aborted || ec == asio::error::bad_descriptor) co_return;
    if (ec) {
      // Out of descriptors or memory: let running pushes end before trying again.
      log::warn("cannot accept a git hook", {log::field("why", ec.message())});
      const bool slept = co_await sleep_for(100ms);
      if (!slept) co_return;
      continue;
    }
    tasks_.spawn("push", serve(std::move(socket)));
  }
}

awaitable<void> PushServer::serve(Pusher::Socket socket) {
  std::string buffer;
  auto [ec, n] = co_await asio::async_read_until(
      socket, asio::dynamic_buffer(buffer, 1024UL * 1024), '\n', as_result);
  if (ec) co_return;
  auto request = parse(buffer.substr(0, n));
  if (!request) {
    log::error("push not understood", {log::field("why", request.error().message())});
    co_return;
  }
  Pusher pusher(socket);
  co_await pusher.hello();
  if (pusher.gone()) {
    log::info("pusher left before its push was taken up", {log::field("app", request->app_id)});
    co_return;
  }
  auto glance = [&] {
    return services_.database.transact(
        [&](pqxx::work& work) -> Result<App> { return app_of(work, *request); });
  };
  auto app = co_await offload(services_.pool, glance);
  if (app) {
    co_await answer(services_, pusher, *request, *app);
  } else {
    for (const auto& command : request->commands)
      co_await pusher.refuse(command.ref, http::public_message(app.error()));
  }
  co_await pusher.end();
}

awaitable<void> PushServer::stop() {
  error_code ignored;
  acceptor_.close(ignored);
  co_await tasks_.stop(200ms);
}

}  // namespace karreg::api::git
