#include "hypervisor-agent/vm.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "common/async/offload.hpp"
#include "common/log.hpp"
#include "common/wire/json.hpp"
#include "hypervisor-agent/admit.hpp"
#include "hypervisor-agent/health.hpp"
#include "hypervisor-agent/network.hpp"

namespace karreg::agent {

using namespace std::chrono_literals;
namespace msg = wire::guest;

namespace {
/// After the guest said its last word it powers off (within 5 s, its time for the last log lines);
/// one that does not is ended.
constexpr auto farewell = 8s;
/// The same, beyond the grace that the app got.
constexpr auto stop_margin = 7s;
/// Between two checks of an app that is not healthy yet.
constexpr auto eager_check = 100ms;
/// Between two attempts to reach a guest whose VM runs.
constexpr auto reconnect_pause = 20ms;
/// Beyond the time that a build's steps or a job's command have, which the guest itself enforces:
/// booting, unpacking, packing; ending.
constexpr auto wall_margin = 300s;
constexpr std::uintmax_t max_console_bytes = 1024UL * 1024;
constexpr std::size_t console_tail = 600;
/// Less is soon full again: a VM that is let go on writes at once.
constexpr std::uintmax_t space_to_go_on = 256UL * 1024 * 1024;
/// How often a guest is told the time.
constexpr auto clock_interval = 60s;

/// What the guest is called; its kind is known.
std::string hostname_of(const wire::VmSpec& spec) {
  return fmt::format("{}-{}", spec.kind == "run" ? "app" : spec.kind, spec.number);
}

}  // namespace

Vm::Vm(Host& host, wire::VmSpec spec)
    : host_(host),
      spec_(std::move(spec)),
      files_(host.settings, spec_.instance_id),
      link_(host.executor, files_.channel()),
      tasks_(host.executor),
      health_due_(host.executor) {
  status_.instance_id = spec_.instance_id;
  status_.phase = "creating";
  logs_ = std::make_shared<LogRelay>(host.executor, host.uplink, spec_,
                                     [this](std::uint64_t seq) { link_.acknowledge(seq); });
}

Vm::Vm(Host& host, wire::VmSpec spec, const Record& record) : Vm(host, std::move(spec)) {
  status_ = record.status;
  status_.instance_id = spec_.instance_id;
  over_ = record.over;
  guest_pongs_ = record.pongs;
  have_exit_ = !status_.exit.reason.empty();
  if (record.accepted_ms > 0) {
    const std::int64_t now_ms = accepted_ms_;
    accepted_ms_ = std::min(now_ms, record.accepted_ms);
    accepted_ -= std::chrono::milliseconds(now_ms - accepted_ms_);
  }
}

std::int64_t Vm::since_accepted() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               accepted_)
      .count();
}

bool Vm::decided() const {
  return status_.phase == "exited" || status_.phase == "failed" || status_.phase == "built";
}

void Vm::save() {
  if (fetching_) return;
  const Record record{accepted_ms_, decided(), status_, guest_pongs_};
  auto saved = write_atomically(files_.record(), wire::to_text(record));
  if (!saved)
    log::error("VM not recorded", {log::field("instance", spec_.instance_id),
                                   log::field("why", saved.error().message())});
}

void Vm::set_phase(std::string phase, std::string detail) {
  if (status_.phase == phase && status_.detail == detail) return;
  if (status_.phase != phase)
    log::info("VM " + phase,
              {log::field("app", spec_.app_id), log::field("instance", spec_.instance_id),
               log::field("deployment", spec_.deployment_id), log::field("ms", since_accepted()),
               log::field("detail", detail)});
  status_.phase = std::move(phase);
  status_.detail = std::move(detail);
  save();
  host_.changed();
}

void Vm::set_healthy(bool healthy) {
  if (status_.healthy == healthy) return;
  status_.healthy = healthy;
  if (healthy && status_.stages.healthy_ms < 0) status_.stages.healthy_ms = since_accepted();
  save();
  host_.changed();
}

void Vm::keep_last_lines() {
  // An agent that took the VM over may have heard none of those that were kept.
  if (auto lines = logs_->last_lines(); !lines.empty()) status_.last_lines = std::move(lines);
}

void Vm::fail(std::string detail) {
  if (decided()) return;
  status_.healthy = false;
  keep_last_lines();
  set_phase("failed", std::move(detail));
}

awaitable<Result<void>> Vm::bring() {
  fetching_ = true;
  auto brought = co_await host_.store->bring(
      spec_, accepted_ + std::chrono::milliseconds(spec_.start_timeout_ms),
      [this](std::string progress) {
        if (stopping_ || status_.detail == progress) return;
        status_.detail = std::move(progress);
        host_.changed();
      },
      [this] { return !stopping_ && !detached_; });
  fetching_ = false;
  co_return brought;
}

awaitable<Result<void>> Vm::boot() {
  // Before it has a folder: an agent that starts again meanwhile begins anew instead of mourning
  // it.
  auto brought = co_await bring();
  if (stopping_ || detached_) co_return ok();
  auto made = make_folder(host_.settings, files_.folder);
  if (!made) co_return made;
  auto saved = write_atomically(files_.spec(), wire::to_text(spec_));
  if (!saved) co_return saved;
  save();
  if (!brought) co_return brought;
  auto xml = co_await prepare_domain(host_, spec_, files_, status_.address);
  if (!xml) co_return xml.error();
  save();
  if (stopping_) co_return ok();
  auto create = [this, text = std::move(*xml)] { return host_.hypervisor.start(text); };
  auto created = co_await offload(host_.pool, create);
  co_return created;
}

awaitable<bool> Vm::still_running() {
  auto ask = [this] { return host_.hypervisor.is_running(domain_name(spec_.instance_id)); };
  auto running = co_await offload(host_.pool, ask);
  if (running) co_return *running;
  log::warn("libvirt does not answer", {log::field("instance", spec_.instance_id),
                                        log::field("why", running.error().message())});
  co_return true;  // not known to be gone
}

awaitable<void> Vm::destroy() {
  auto end = [this] { return host_.hypervisor.destroy(domain_name(spec_.instance_id)); };
  auto done = co_await offload(host_.pool, end);
  if (!done)
    log::warn("VM not ended", {log::field("instance", spec_.instance_id),
                               log::field("why", done.error().message())});
}

awaitable<void> Vm::destroy_after(std::chrono::milliseconds grace) {
  const bool slept = co_await sleep_for(grace);
  if (!slept) co_return;
  log::warn("VM did not end by itself", {log::field("instance", spec_.instance_id)});
  co_await destroy();
  link_.close();
}

awaitable<void> Vm::run(Start start) {
  auto self = shared_from_this();
  if (start == Start::boot) {
    auto booted = co_await boot();
    if (!booted) {
      fail("the VM could not be started: " + booted.error().message());
    } else if (!stopping_ && !detached_) {
      status_.stages.process_ms = since_accepted();
      set_phase("booting");
    }
  }
  if (!decided() && !stopping_ && !detached_) {
    begin_tasks();
    co_await converse();
  }
  if (detached_) {
    co_await tasks_.stop(0ms);
    co_return;
  }
  // The guest is silent for ever: it is gone, or it must go.
  co_await destroy();
  link_.close();
  co_await tasks_.stop(0ms);
  end();
}

void Vm::begin_tasks() {
  tasks_.spawn("time limit", enforce_time_limit());
  tasks_.spawn("clock", tell_time());
  if (spec_.kind == "run") tasks_.spawn("health", watch_health());
  // Taken over between its last word and its end.
  if (have_exit_) tasks_.spawn("farewell", destroy_after(farewell));
}

void Vm::end() {
  stop_passt(files_);
  status_.healthy = false;
  if (have_build_result_) {
    set_phase("built");
  } else if (!decided()) {
    keep_last_lines();
    if (have_exit_ || stopping_) {
      set_phase("exited", status_.exit.reason);
    } else {
      std::string why = "the VM ended without a word";
      const std::string console = read_tail(files_.console(), console_tail);
      if (!console.empty()) why += "; the end of its console: " + console;
      fail(why);
    }
  }
  over_ = true;
  if (stopping_)
    remove_all(files_);
  else
    remove_remains(files_);
  host_.changed();
}

void Vm::mourn() {
  if (have_exit_ && !decided())
    set_phase("exited", status_.exit.reason);
  else
    fail("the VM ended while no agent watched it");
  stop_passt(files_);
  remove_remains(files_);
  over_ = true;
}

void Vm::detach() {
  detached_ = true;
  link_.close();
}

void Vm::tend(std::optional<bool> halted) {
  if (over_) return;
  bound_file(files_.console(), max_console_bytes);
  logs_->retry();
  if (!halted) return;
  if (!*halted)
    halt_.clear();
  else if (!stopping_ && !detached_)
    tasks_.spawn("go on", let_go_on());
}

awaitable<void> Vm::let_go_on() {
  std::error_code ec;
  const auto space = std::filesystem::space(files_.folder, ec);
  const bool full = !ec && space.available < space_to_go_on;
  std::string why = full ? "the host's disk is full: the VM stands still until there is space"
                         : "the VM stands still, since a disk of it could not be written";
  if (halt_ != why)
    log::error("VM stands still",
               {log::field("instance", spec_.instance_id), log::field("why", why)});
  halt_ = std::move(why);
  health_due_.cancel();
  if (full) co_return;
  auto resume = [this] { return host_.hypervisor.resume(domain_name(spec_.instance_id)); };
  auto resumed = co_await offload(host_.pool, resume);
  if (!resumed) {
    log::warn("VM does not go on", {log::field("instance", spec_.instance_id),
                                    log::field("why", resumed.error().message())});
    co_return;
  }
  // Whether it stays that way is seen when it is looked at again.
  log::info("VM goes on", {log::field("instance", spec_.instance_id)});
  halt_.clear();
  health_due_.cancel();
}

awaitable<void> Vm::converse() {
  while (!link_.closed()) {
    const bool talked = co_await link_.converse([this](const auto& message) { handle(message); });
    if (detached_) co_return;
    const bool running = co_await still_running();
    if (!running) co_return;
    if (talked) log::debug("guest channel closed", {log::field("instance", spec_.instance_id)});
    const bool slept = co_await sleep_for(reconnect_pause);
    if (!slept) co_return;
  }
}

void Vm::configure_guest() {
  msg::Config config;
  config.instance_id = spec_.instance_id;
  config.hostname = hostname_of(spec_);
  config.kind = spec_.kind;
  const bool confined = is_confined(host_.settings, spec_.kind);
  config.network = guest_network(confined);
  config.env = spec_.env;
  if (confined) config.env.merge(confined_environment());
  config.run = spec_.run;
  config.build = spec_.build;
  config.job = spec_.job;
  if (spec_.kind == "build" && !host_.settings.ca_file.empty())
    if (const auto pem = read_whole(host_.settings.ca_file)) config.build.ca_pem = *pem;
  config.time_ns = unix_ns();
  const std::size_t bytes = msg::encode(config).size();
  if (bytes <= msg::max_line_bytes) {
    link_.send(config);
    return;
  }
  fail(fmt::format(
      "the environment and the commands are too large: {} KiB, at most {} KiB: put large "
      "values into files of the repository",
      (bytes + 1023) / 1024, msg::max_line_bytes / 1024));
  link_.send(msg::Stop{0});
  tasks_.spawn("farewell", destroy_after(farewell));
}

void Vm::handle(const msg::FromGuest& said) {
  const auto message = admit(said);
  if (!message) return;
  if (const auto* hello = std::get_if<msg::Hello>(&*message)) {
    handle_hello(*hello);
  } else if (const auto* state = std::get_if<msg::State>(&*message)) {
    handle_state(*state);
  } else if (const auto* lines = std::get_if<msg::Log>(&*message)) {
    logs_->take(*lines);
  } else if (const auto* result = std::get_if<msg::BuildResult>(&*message)) {
    status_.build = *result;
    if (!std::exchange(have_build_result_, true)) tasks_.spawn("farewell", destroy_after(farewell));
  } else if (const auto* exit = std::get_if<msg::Exit>(&*message)) {
    status_.exit = *exit;
    keep_last_lines();
    set_healthy(false);
    // How it ended is known from now on, also to an agent that finds the VM gone.
    save();
    if (!std::exchange(have_exit_, true)) tasks_.spawn("farewell", destroy_after(farewell));
  }
}

void Vm::handle_hello(const msg::Hello& hello) {
  if (status_.stages.pid1_ms < 0) status_.stages.pid1_ms = since_accepted();
  if (stopping_) {
    // Said before the guest was there, or to a connection that is lost.
    if (hello.configured)
      link_.send(msg::Stop{spec_.stop_grace_ms});
    else
      tasks_.spawn("stop", destroy_after(0ms));
    return;
  }
  if (hello.configured)
    link_.send(msg::Time{unix_ns()});
  else if (!decided())
    configure_guest();
  if (std::exchange(guest_pongs_, hello.pongs) != hello.pongs) save();
  host_.changed();
}

void Vm::handle_state(const msg::State& state) {
  const bool starts = state.phase == "starting" || state.phase == "building";
  if (starts) {
    if (status_.stages.exec_ms < 0) status_.stages.exec_ms = since_accepted();
    guest_hint_ = state.detail;
  }
  if (decided() || stopping_ || state.phase == "configuring") return;
  if (state.phase == "listening") {
    if (spec_.kind != "run") return;
    if (status_.stages.listening_ms < 0) status_.stages.listening_ms = since_accepted();
    set_phase("running");
    health_due_.cancel();
  } else if (state.phase == "stopping" || state.phase == "exited") {
    // By itself: what it says in `exit` decides.
    set_healthy(false);
  } else {
    set_phase(state.phase, state.detail);
  }
}

awaitable<Result<void>> Vm::check() {
  if (!halt_.empty()) co_return Error(ErrorKind::unavailable, halt_);
  if (status_.stages.healthy_ms < 0) {
    // The guest itself saw the app listen: where that is all that is asked, the first look is made.
    if (spec_.health.path.empty()) co_return ok();
  } else if (guest_pongs_) {
    // A connection proves little: the VM's network accepts it for a guest that hangs.
    const bool alive = co_await link_.ping(std::chrono::milliseconds(spec_.health.timeout_ms));
    if (!alive)
      co_return Error(ErrorKind::unavailable,
                      fmt::format("the VM does not answer within {} ms", spec_.health.timeout_ms));
  }
  auto result = co_await check_health(status_.address, spec_.health);
  co_return result;
}

awaitable<void> Vm::watch_health() {
  HealthRecord record(spec_.health.failures_to_unhealthy);
  if (status_.healthy) record.observe(true);
  while (!decided() && !stopping_ && !have_exit_) {
    if (status_.phase == "running") {
      auto good = co_await check();
      if (decided() || stopping_ || detached_ || have_exit_) co_return;
      if (!good) guest_hint_ = good.error().message();
      if (halt_.empty() ? record.observe(good.has_value()) : record.condemn()) {
        set_healthy(record.healthy());
        set_phase("running", record.healthy() ? "" : "unhealthy: " + guest_hint_);
      } else if (!halt_.empty()) {
        // Found unhealthy before it was known why.
        set_phase("running", "unhealthy: " + halt_);
      }
    }
    health_due_.expires_after(status_.phase != "running" ? std::chrono::hours(24)
                              : record.healthy()
                                  ? std::chrono::milliseconds(spec_.health.interval_ms)
                                  : eager_check);
    co_await health_due_.async_wait(as_result);
  }
}

awaitable<void> Vm::tell_time() {
  for (;;) {
    const bool slept = co_await sleep_for(clock_interval);
    if (!slept) co_return;
    link_.send(msg::Time{unix_ns()});
  }
}

awaitable<bool> Vm::outlives(std::chrono::milliseconds limit) {
  const auto left = limit - std::chrono::milliseconds(since_accepted());
  const bool slept = co_await sleep_for(std::max(0ms, left));
  co_return slept && !stopping_ && !decided();
}

std::string Vm::why_not_ready() const {
  const auto limit = spec_.start_timeout_ms / 1000;
  std::string why = spec_.kind == "job"
                        ? fmt::format("its command did not begin within {} s", limit)
                        : fmt::format("it was not ready within {} s", limit);
  if (!guest_hint_.empty()) return why + ": " + guest_hint_;
  if (status_.stages.pid1_ms < 0) return why + ": the VM did not boot";
  if (spec_.kind == "job") return why;
  return why + fmt::format(
                   ": nothing listens on 0.0.0.0:{}; the app must listen on the port in the "
                   "environment variable PORT",
                   spec_.run.port);
}

std::chrono::milliseconds Vm::last_limit() const {
  if (spec_.kind == "build") return std::chrono::milliseconds(spec_.build.wall_ms) + wall_margin;
  return std::chrono::milliseconds(status_.stages.exec_ms + spec_.job.wall_ms) + wall_margin;
}

awaitable<void> Vm::enforce_time_limit() {
  std::string why;
  if (spec_.kind != "build") {
    const bool late = co_await outlives(std::chrono::milliseconds(spec_.start_timeout_ms));
    if (!late) co_return;
    const auto& stages = status_.stages;
    const bool ready = spec_.kind == "job" ? stages.exec_ms >= 0 : stages.healthy_ms >= 0;
    if (!ready) why = why_not_ready();
    // An app has no other limit.
    if (ready && spec_.kind == "run") co_return;
  }
  if (why.empty()) {
    const auto limit = last_limit();
    const bool late = co_await outlives(limit);
    if (!late) co_return;
    why = fmt::format("the {} VM did not end within {} s", spec_.kind,
                      std::chrono::duration_cast<std::chrono::seconds>(limit).count());
  }
  fail(why);
  co_await destroy();
  link_.close();
}

void Vm::stop() {
  if (stopping_ || over_) return;
  stopping_ = true;
  status_.healthy = false;
  health_due_.cancel();
  if (decided()) return;
  set_phase("stopping");
  link_.send(msg::Stop{spec_.stop_grace_ms});
  tasks_.spawn("stop", destroy_after(std::chrono::milliseconds(spec_.stop_grace_ms) + stop_margin));
}

}  // namespace karreg::agent
