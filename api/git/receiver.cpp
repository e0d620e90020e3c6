#include "api/git/receiver.hpp"

#include <array>
#include <charconv>
#include <csignal>
#include <optional>

#include "api/git/hook.hpp"
#include "api/git/pkt_line.hpp"
#include "api/git/report.hpp"
#include "api/git/repositories.hpp"
#include "api/stores/apps_store.hpp"
#include "common/async/offload.hpp"
#include "common/async/process.hpp"
#include "common/async/task_group.hpp"
#include "common/ids.hpp"
#include "common/log.hpp"
#include "common/text.hpp"

namespace karreg::api::git {

using namespace std::chrono_literals;

namespace {

constexpr const char* push_result = "application/x-git-receive-pack-result";
constexpr std::size_t max_head = 16UL * 1024;
/// The boundary of a shallow clone comes before the client's name: some 53 bytes a commit.
constexpr std::size_t max_first = 256UL * 1024;
/// For the rest of a body of which git wants no more.
constexpr auto longest_rest = 60s;
/// For git to clear away an upload that has been cut, before it is killed.
constexpr auto longest_clean_up = 2s;

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

/// What a push may cost, as of today, whatever it was when the repository was made. A few bytes of
/// a pack may stand for gigabytes of an object.
void set_limits(std::map<std::string, std::string>& env, std::int64_t max_push_bytes) {
  int count = 0;
  const auto limit = [&](const char* key, const std::string& value) {
    env["GIT_CONFIG_KEY_" + std::to_string(count)] = key;
    env["GIT_CONFIG_VALUE_" + std::to_string(count)] = value;
    ++count;
  };
  limit("receive.maxInputSize", std::to_string(max_push_bytes));
  // Always index-pack: unpack-objects holds all objects of a chain of deltas in memory.
  limit("receive.unpackLimit", "1");
  // Each thread may hold a delta's base and its result.
  limit("pack.threads", "1");
  // What is larger, and no delta, is read as a stream.
  limit("core.bigFileThreshold", "16m");
  env["GIT_CONFIG_COUNT"] = std::to_string(count);
  // One byte more than the object: git ends its buffers with a NUL.
  env["GIT_ALLOC_LIMIT"] = std::to_string(max_object_bytes + 1);
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
  // No CONTENT_LENGTH: http-backend waits for ever for the rest of a body that was cut.
  options.env = git_environment();
  set_limits(options.env, services.settings.max_push_bytes);
  options.env.insert({
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
      {env_user, identity.user_id},
  });
  return options;
}

/// One run of the backend, shared by the side that feeds it and the side that passes its answer on.
struct Run {
  Run(http::Request& request_in, http::ResponseWriter& writer_in, Process& process_in,
      std::int64_t max_pack_in, const asio::any_io_executor& executor)
      : request(request_in),
        writer(writer_in),
        process(process_in),
        max_pack(max_pack_in),
        fed_event(executor, SteadyTime::max()) {}
  http::Request& request;
  http::ResponseWriter& writer;
  Process& process;
  std::int64_t max_pack;
  std::optional<PushHead> push;  ///< when it is one
  std::string secret;            ///< of its hook: env_shallow
  bool too_large() const { return push && push->pack_bytes() > max_pack; }
  bool fed = false;
  bool cut = false;              ///< the client left in the middle of its request
  asio::steady_timer fed_event;  ///< cancelled once fed
};

/// Gives the request's body to the child. What the child does not take any more (it has heard
/// enough, its answer says why) is read all the same, so that the client reads the answer instead
/// of seeing its connection reset. Then watches the client: git must not work for nobody.
awaitable<void> feed(Run& run, std::string first) {
  std::array<char, 64UL * 1024> piece{};
  std::string pending = std::move(first);
  bool taking = true;
  bool there = true;
  for (;;) {
    if (taking && !pending.empty()) {
      auto written = co_await run.process.write(pending);
      taking = written.has_value();
    }
    auto n = co_await run.request.read_some(piece);
    there = n.has_value();
    if (!there || *n == 0) break;
    pending.assign(piece.data(), *n);
    if (run.push) run.push->feed(pending);
  }
  // git sees its input end and clears away what it has got, which it does not when it is killed.
  run.cut = !there;
  run.process.close_stdin();
  run.fed = true;
  run.fed_event.cancel();
  if (!there) co_return;
  co_await run.writer.peer_gone();
  auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() == asio::cancellation_type::none) run.process.kill(SIGTERM);
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
    if (text::iequals(line.substr(0, colon), "Status"))
      std::from_chars(value.data(), value.data() + value.size(), head.status);
    else if (!text::iequals(line.substr(0, colon), "Content-Length"))
      head.headers.add(std::string(line.substr(0, colon)), std::string(value));
  }
  return head;
}

/// Passes git's report on a push on. Ours takes its place when the pack is too large (which git has
/// noticed as well, but says no more than that), and its end when git dies over it. Error: as of
/// ResponseWriter::write.
awaitable<Result<void>> pass_report(Run& run, std::string bytes) {
  std::array<char, 16UL * 1024> piece{};
  Report report(*run.push, run.secret);
  for (;;) {
    const std::string whole = report.pass(bytes);
    auto written = ok();
    if (!run.too_large()) written = co_await run.writer.write(whole);
    if (!written) co_return written;
    const std::size_t n = co_await run.process.read_stdout(piece);
    if (n == 0) break;
    bytes.assign(piece.data(), n);
  }
  std::string rest;
  if (run.too_large())
    rest = oversize_answer(*run.push, run.max_pack);
  else if (!report.complete())
    rest = broken_answer(*run.push);
  auto written = co_await run.writer.write(rest);
  co_return written;
}

awaitable<Result<void>> pass_bytes(Run& run, std::string bytes) {
  std::array<char, 16UL * 1024> piece{};
  auto written = co_await run.writer.write(bytes);
  while (written) {
    const std::size_t n = co_await run.process.read_stdout(piece);
    if (n == 0) break;
    written = co_await run.writer.write({piece.data(), n});
  }
  co_return written;
}

/// Passes the child's answer on.
awaitable<void> pass_answer(Run& run) {
  std::array<char, 16UL * 1024> piece{};
  std::string head;
  std::size_t end = std::string::npos;
  // With the first byte of the body: until then the client is let speak.
  while (end == std::string::npos || head.size() == end + 4) {
    const std::size_t n = co_await run.process.read_stdout(piece);
    if (n == 0 || head.size() > max_head) break;
    head.append(piece.data(), n);
    end = head.find("\r\n\r\n");
  }
  if (end == std::string::npos && run.too_large()) {
    head = std::string("Content-Type: ") + push_result + "\r\nCache-Control: no-cache\r\n\r\n";
    end = head.size() - 4;
  }
  if (end == std::string::npos) {
    co_await run.writer.send(refusal(500, "git did not answer; the log of the API says more"));
    co_return;
  }
  auto parsed = parse_head(std::string_view(head).substr(0, end + 2));
  const bool reports = run.push && parsed.headers.get("Content-Type") == push_result;
  co_await run.writer.start(parsed.status, std::move(parsed.headers));
  std::string rest = head.substr(end + 4);
  auto written = ok();
  if (reports)
    written = co_await pass_report(run, std::move(rest));
  else
    written = co_await pass_bytes(run, std::move(rest));
  if (written)
    co_await run.writer.finish();
  else if (!run.cut)
    run.process.kill(SIGTERM);
}

awaitable<void> log_errors(Process& process, std::string app_id) {
  std::array<char, 4096> piece{};
  for (;;) {
    const std::size_t n = co_await process.read_stderr(piece);
    if (n == 0) co_return;
    log::info("git", {log::field("app", app_id), log::field("text", std::string(piece.data(), n))});
  }
}

/// The first bytes of the body: as far as @p head, which takes them, needs to know the client.
awaitable<Result<std::string>> first_bytes(http::Request& request, PushHead& head) {
  std::string first;
  std::array<char, 4096> piece{};
  while (first.size() < max_first && !head.known()) {
    auto n = co_await request.read_some(piece);
    if (!n) co_return n.error();
    if (*n == 0) break;
    first.append(piece.data(), *n);
    head.feed({piece.data(), *n});
  }
  co_return first;
}

awaitable<void> converse(Run& run, TaskGroup& feeder, TaskGroup& errors, const std::string& app_id,
                         std::string first) {
  errors.spawn("git errors", log_errors(run.process, app_id));
  feeder.spawn("git input", feed(run, std::move(first)));
  co_await pass_answer(run);
  co_await run.process.wait();
  if (!run.fed) {
    run.fed_event.expires_after(longest_rest);
    co_await run.fed_event.async_wait(as_result);
  }
}

/// Ends git in the middle of its work: as at the end of its input while that comes, which lets it
/// clear away, else by a signal.
awaitable<void> end_git(Run& run) {
  if (run.fed && !run.cut)
    run.process.kill(SIGTERM);
  else
    run.process.close_stdin();
  co_await run.process.wait_at_most(longest_clean_up);
}

awaitable<void> run_backend(const Services& services, http::Request& request,
                            http::ResponseWriter& writer, const std::string& app_id,
                            const std::string& rest, const Identity& identity) {
  auto options = backend_options(services, request, app_id, rest, identity);
  std::string first;
  std::string secret;
  std::optional<PushHead> push;
  if (rest == "git-receive-pack" && request.method == "POST") {
    auto bytes = co_await first_bytes(request, push.emplace());
    if (!bytes) co_return;
    first = std::move(*bytes);
    if (push->polls()) options.env[env_polls] = "1";
    if (push->shallow()) options.env[env_shallow] = secret = ids::random_token(24);
  }
  auto executor = co_await asio::this_coro::executor;
  auto started = Process::start(executor, options);
  if (!started) {
    co_await writer.send(refusal(500, http::public_message(started.error())));
    co_return;
  }
  Run run(request, writer, *started, services.settings.max_push_bytes, executor);
  run.push = std::move(push);
  run.secret = std::move(secret);
  TaskGroup feeder(executor);
  TaskGroup errors(executor);
  std::exception_ptr failure;
  try {
    co_await converse(run, feeder, errors, app_id, std::move(first));
  } catch (...) {
    failure = std::current_exception();
  }
  // The helpers use what lives here: they end first, whatever happens.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  if (failure) co_await end_git(run);
  co_await feeder.stop(0ms);
  co_await errors.stop(200ms);
  co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation());
  if (failure) std::rethrow_exception(failure);
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
    co_await writer.send(refusal(theirs ? 401 : http_status(identity.error().kind()),
                                 http::public_message(identity.error())));
    co_return;
  }
  auto look = [&] {
    return services.database.transact([&](pqxx::work& work) -> Result<void> {
      auto app = get_app(work, *identity, app_id);
      if (!app) return app.error();
      if (!known_service)
        return Error(ErrorKind::not_found, "git repositories have nothing at /" + rest);
      if (!has_repository(services.settings, app_id))
        return Error(ErrorKind::internal, "the repository of " + app->name +
                                              " is missing on this platform: its operator has to "
                                              "restore " +
                                              app_id + ".git");
      return ok();
    });
  };
  auto allowed = co_await offload(services.pool, look);
  if (!allowed) {
    co_await writer.send(
        refusal(http_status(allowed.error().kind()), http::public_message(allowed.error())));
    co_return;
  }
  co_await run_backend(services, request, writer, app_id, rest, *identity);
}

}  // namespace

void add_git(Routes& routes, const Services& services) {
  for (const char* method : {"GET", "POST"})
    routes.add_stream(method, "/git/{repository}/{rest*}",
                      [&services](http::Request& request, http::ResponseWriter& writer,
                                  const http::PathParameters& path) {
                        return serve(services, request, writer, path.at("repository"),
                                     path.at("rest"));
                      });
}

}  // namespace karreg::api::git
