#include "api/git/receiver.hpp"

#include <array>
#include <charconv>
#include <csignal>

#include "api/git/hook.hpp"
#include "api/git/pkt_line.hpp"
#include "api/stores/apps_store.hpp"
#include "common/async/offload.hpp"
#include "common/async/process.hpp"
#include "common/log.hpp"

namespace karreg::api::git {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t max_head = 16 * 1024;

/// git shows the body of a refusal to its user when it is plain text.
http::Response refusal(int status, const std::string& text) {
  http::Response response{
      status,
      {{"Content-Type", "text/plain; charset=utf-8"}, {"Cache-Control", "no-store"}},
      text + "\n"};
  if (status == 401)
    response.headers.add("WWW-Authenticate", "Basic realm=\"Karreg\", charset=\"UTF-8\"");
  return response;
}

Process::Options backend_options(const Services& services, const http::Request& request,
                                 const std::string& app_id, const std::string& rest,
                                 const Identity& identity) {
  const auto header = [&](std::string_view name) {
    return std::string(request.headers.get(name).value_or(""));
  };
  const auto question = request.target.find('?');
  Process::Options options;
  options.argv = {"git", "http-backend"};
  options.env = {
      {"PATH", "/usr/local/bin:/usr/bin:/bin"},
      {"HOME", "/nonexistent"},
      {"LANG", "C.UTF-8"},
      {"GIT_CONFIG_NOSYSTEM", "1"},
      {"GIT_CONFIG_GLOBAL", "/dev/null"},
      {"GIT_PROJECT_ROOT", services.settings.repositories},
      {"GIT_HTTP_EXPORT_ALL", "1"},
      {"PATH_INFO", "/" + app_id + ".git/" + rest},
      {"REQUEST_METHOD", request.method},
      {"QUERY_STRING", question == std::string::npos ? "" : request.target.substr(question + 1)},
      {"CONTENT_TYPE", header("Content-Type")},
      {"HTTP_CONTENT_ENCODING", header("Content-Encoding")},
      {"GIT_PROTOCOL", header("Git-Protocol")},
      {"REMOTE_USER", identity.user_id},
      {"REMOTE_ADDR", request.peer},
      {"GIT_COMMITTER_NAME", identity.name},
      {"GIT_COMMITTER_EMAIL", identity.email},
      {env_socket, services.settings.hook_socket},
      {env_app, app_id},
      {env_user, identity.user_id}};
  if (const std::string length = header("Content-Length"); !length.empty())
    options.env["CONTENT_LENGTH"] = length;
  return options;
}

/// Feeds the request's body to the child. @p first: bytes read before it was started.
awaitable<bool> feed(http::Request& request, Process& process, std::string first) {
  std::array<char, 64 * 1024> piece{};
  std::string pending = std::move(first);
  for (;;) {
    if (!pending.empty()) {
      auto written = co_await process.write(pending);
      if (!written) break;  // it has heard enough: its answer says why
    }
    auto n = co_await request.read_some(piece);
    if (!n) co_return false;
    if (*n == 0) break;
    pending.assign(piece.data(), *n);
  }
  process.close_stdin();
  co_return true;
}

/// The CGI head (RFC 3875 §6): status and headers.
struct CgiHead {
  int status = 200;
  http::Headers headers;
};

CgiHead parse_head(std::string_view text) {
  CgiHead head;
  while (!text.empty()) {
    const auto end = text.find("\r\n");
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 2);
    const auto colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    const std::string_view value = line.substr(colon + 2);
    if (http::iequals(line.substr(0, colon), "Status"))
      std::from_chars(value.data(), value.data() + value.size(), head.status);
    else if (!http::iequals(line.substr(0, colon), "Content-Length"))
      head.headers.add(std::string(line.substr(0, colon)), std::string(value));
  }
  return head;
}

/// Passes the child's answer on. Returns false when the client is gone.
awaitable<bool> answer(Process& process, http::ResponseWriter& writer) {
  std::array<char, 16 * 1024> piece{};
  std::string head;
  std::size_t end = std::string::npos;
  while (end == std::string::npos && head.size() < max_head) {
    const std::size_t n = co_await process.read_stdout(piece);
    if (n == 0) break;
    head.append(piece.data(), n);
    end = head.find("\r\n\r\n");
  }
  if (end == std::string::npos) {
    co_await writer.send(refusal(500, "git did not answer"));
    co_return true;
  }
  auto parsed = parse_head(std::string_view(head).substr(0, end + 2));
  co_await writer.start(parsed.status, std::move(parsed.headers));
  auto written = co_await writer.write(std::string_view(head).substr(end + 4));
  while (written) {
    const std::size_t n = co_await process.read_stdout(piece);
    if (n == 0) break;
    written = co_await writer.write({piece.data(), n});
  }
  if (!written) co_return false;
  co_await writer.finish();
  co_return true;
}

awaitable<void> log_errors(Process& process, std::string app_id) {
  std::array<char, 4096> piece{};
  for (;;) {
    const std::size_t n = co_await process.read_stderr(piece);
    if (n == 0) co_return;
    log::info("git", {log::field("app", app_id), log::field("text", std::string(piece.data(), n))});
  }
}

awaitable<void> end_when_client_leaves(http::ResponseWriter& writer, Process& process) {
  co_await writer.peer_gone();
  auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() == asio::cancellation_type::none) process.kill(SIGTERM);
}

awaitable<void> run_backend(const Services& services, http::Request& request,
                            http::ResponseWriter& writer, const std::string& app_id,
                            const std::string& rest, const Identity& identity) {
  auto options = backend_options(services, request, app_id, rest, identity);
  std::string first;
  if (rest == "git-receive-pack" && request.method == "POST") {
    std::array<char, 4096> piece{};
    auto n = co_await request.read_some(piece);
    if (!n) co_return;
    first.assign(piece.data(), *n);
    if (is_polling_client(first)) options.env[env_detach] = "1";
  }
  auto executor = co_await asio::this_coro::executor;
  auto started = Process::start(executor, options);
  if (!started) {
    co_await writer.send(refusal(500, started.error().message()));
    co_return;
  }
  Process process = std::move(*started);
  TaskGroup helpers(executor);
  helpers.spawn("git errors", log_errors(process, app_id));
  const bool fed = co_await feed(request, process, std::move(first));
  if (fed) {
    helpers.spawn("git client", end_when_client_leaves(writer, process));
    const bool there = co_await answer(process, writer);
    if (!there) process.kill(SIGTERM);
  } else {
    process.kill(SIGTERM);
  }
  process.close_stdin();
  co_await process.wait();
  co_await helpers.stop(200ms);
}

awaitable<void> serve(const Services& services, http::Request& request,
                      http::ResponseWriter& writer, std::string repository, std::string rest) {
  const std::string suffix = ".git";
  const std::string app_id = repository.ends_with(suffix)
                                 ? repository.substr(0, repository.size() - suffix.size())
                                 : repository;
  const bool known_service = rest == "info/refs" || rest == "git-upload-pack" ||
                             rest == "git-receive-pack" || rest == "HEAD";
  if (!request.headers.get("Authorization")) {
    co_await writer.send(
        refusal(401, "sign in with your token as user and its secret as password"));
    co_return;
  }
  auto identity = co_await authenticate(services, request);
  if (!identity) {
    const bool theirs = identity.error().kind() == ErrorKind::unauthorized;
    co_await writer.send(
        refusal(theirs ? 401 : http_status(identity.error().kind()), identity.error().message()));
    co_return;
  }
  auto look = [&] {
    return services.database.transact(
        [&](pqxx::work& work) -> Result<App> { return get_app(work, *identity, app_id); });
  };
  auto app = co_await offload(services.pool, look);
  if (!app || !known_service) {
    const std::string why = app ? "there is nothing at this path" : app.error().message();
    co_await writer.send(refusal(app ? 404 : http_status(app.error().kind()), why));
    co_return;
  }
  co_await run_backend(services, request, writer, app_id, rest, *identity);
}

}  // namespace

void add_git(Routes& routes, const Services& services) {
  for (const char* method : {"GET", "POST"})
    routes.add_stream(method, "/git/{repository}/{rest*}",
                      [&services](http::Request& request, http::ResponseWriter& writer,
                                  const http::PathParameters& path) -> awaitable<void> {
                        co_await serve(services, request, writer, path.at("repository"),
                                       path.at("rest"));
                      });
}

}  // namespace karreg::api::git
