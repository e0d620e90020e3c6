#include "images/guest/run.hpp"

#include <unistd.h>

#include "images/guest/listening.hpp"
#include "images/guest/system.hpp"

namespace karreg::guest {

using namespace std::chrono_literals;

namespace {
/// How often to look whether the app listens: often at first, for each look that comes late is
/// waited for by users.
constexpr auto eagerly = 20ms;
constexpr auto patiently = 200ms;
constexpr auto eager_time = 30s;
constexpr auto seldom = 3600s;

std::vector<Beside> workers_of(const wire::guest::Config& config, const Child& app) {
  std::vector<Beside> workers;
  for (const auto& worker : config.run.workers) {
    Child child = app;
    child.argv = shell_command(worker.command);
    workers.push_back(
        {worker.name, std::move(child), Restarts(worker.restart, worker.restart_delay_ms)});
  }
  return workers;
}
}  // namespace

std::map<std::string, std::string> app_environment(const wire::guest::Config& config) {
  std::map<std::string, std::string> env = {
      {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
      {"HOME", "/home/app"},
      {"USER", "app"},
      {"LOGNAME", "app"},
      {"SHELL", "/bin/bash"},
      {"LANG", "C.UTF-8"},
      {"TMPDIR", "/tmp"},
  };
  if (config.kind != "build") env.emplace("PORT", std::to_string(config.run.port));
  for (const auto& [name, value] : config.env) env[name] = value;
  return env;
}

std::vector<std::string> shell_command(const std::string& command) {
  const bool bash = ::access("/bin/bash", X_OK) == 0;
  return {bash ? "/bin/bash" : "/bin/sh", "-c", command};
}

wire::guest::Exit run_app(Supervisor& supervisor, const wire::guest::Config& config) {
  const auto env = app_environment(config);
  if (!config.run.pre_run.empty()) {
    supervisor.say("pre_run");
    Child hook;
    hook.argv = {"/bin/sh", "-ec", config.run.pre_run};
    hook.env = env;
    hook.directory = config.run.workdir;
    const Ended ended = supervisor.run(hook, std::nullopt);
    if (ended.stopped)
      return {ended.exit_code, ended.signal, ended.oom, "stopped during the pre-run hook"};
    if (!ended.good())
      return {ended.exit_code, ended.signal, ended.oom, "the pre-run hook " + ended.sentence()};
  }
  supervisor.say("starting");
  Child app;
  app.argv = config.run.command;
  app.env = env;
  app.directory = config.run.workdir;
  bool listening = false;
  bool warned = false;
  const auto begin = Clock::now();
  const auto watch = [&]() -> std::chrono::milliseconds {
    if (listening) return seldom;
    const Listening found =
        listening_on(config.run.port, read_file("/proc/net/tcp"), read_file("/proc/net/tcp6"));
    if (found == Listening::reachable) {
      listening = true;
      supervisor.say("listening");
    } else if (found == Listening::loopback_only && !warned) {
      warned = true;
      const std::string port = std::to_string(config.run.port);
      supervisor.say("starting", "the app listens on 127.0.0.1:" + port +
                                     " only, where nothing outside its VM can reach it; make it "
                                     "listen on 0.0.0.0:" +
                                     port);
    }
    if (listening) return seldom;
    return Clock::now() - begin < eager_time ? eagerly : patiently;
  };
  const Ended ended = supervisor.run(app, std::nullopt, watch, workers_of(config, app));
  std::string reason = ended.stopped ? "the app was stopped" : "the app " + ended.sentence();
  if (!listening && !ended.stopped)
    reason += " before it listened on port " + std::to_string(config.run.port);
  return {ended.exit_code, ended.signal, ended.oom, reason};
}

}  // namespace karreg::guest
