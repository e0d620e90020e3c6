#include "images/guest/run.hpp"

#include <unistd.h>

#include <filesystem>

#include "images/guest/image_config.hpp"
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

bool has_image() {
  return ::access(wire::guest::image_config_file, F_OK) == 0;
}

/// Throws std::runtime_error when it cannot be read.
ImageConfig image_of_root() {
  return parse_image_config(read_file(wire::guest::image_config_file));
}

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

Child app_child(const wire::guest::Config& config, const std::string& workdir) {
  Child child;
  child.env = app_environment(config);
  child.directory = workdir;
  if (!has_image()) return child;
  const ImageConfig image = image_of_root();
  child.user = user_of(image.user, read_file("/etc/passwd"), read_file("/etc/group"));
  child.env["HOME"] = child.user.home;
  for (const char* of_the_runtime : {"SHELL", "USER", "LOGNAME"}) child.env.erase(of_the_runtime);
  for (const auto& [name, value] : image.env) child.env[name] = value;
  // What the owner sets is the strongest; the port is where the platform asks.
  if (config.kind != "build") child.env["PORT"] = std::to_string(config.run.port);
  for (const auto& [name, value] : config.env) child.env[name] = value;
  child.directory = image.directory;
  std::filesystem::create_directories(child.directory);
  child.stop_signal = image.stop_signal;
  return child;
}

std::vector<std::string> shell_command(const std::string& command) {
  const bool bash = ::access("/bin/bash", X_OK) == 0;
  return {bash ? "/bin/bash" : "/bin/sh", "-c", command};
}

wire::guest::Exit run_app(Supervisor& supervisor, const wire::guest::Config& config) {
  Child app = app_child(config, config.run.workdir);
  if (!config.run.pre_run.empty()) {
    supervisor.say("pre_run");
    Child hook = app;
    hook.argv = {"/bin/sh", "-ec", config.run.pre_run};
    const Ended ended = supervisor.run(hook, std::nullopt);
    if (ended.stopped)
      return {ended.exit_code, ended.signal, ended.oom, "stopped during the pre-run hook"};
    if (!ended.good())
      return {ended.exit_code, ended.signal, ended.oom, "the pre-run hook " + ended.sentence()};
  }
  supervisor.say("starting");
  app.argv = config.run.command;
  if (app.argv == std::vector<std::string>{wire::guest::image_start})
    app.argv = image_of_root().start();
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
