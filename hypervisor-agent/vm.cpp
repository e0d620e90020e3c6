#include "hypervisor-agent/vm.hpp"

#include <fmt/format.h>

#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>

#include "common/async/offload.hpp"
#include "common/async/process.hpp"
#include "common/broker/topology.hpp"
#include "common/http/client.hpp"
#include "common/log.hpp"
#include "common/wire/json.hpp"
#include "common/wire/logs.hpp"
#include "hypervisor-agent/domain_xml.hpp"
#include "hypervisor-agent/network.hpp"

namespace karreg::agent {

using namespace std::chrono_literals;
namespace msg = wire::guest;

namespace {
constexpr std::size_t kept_lines = 20;
/// After the guest said its last word it powers off; one that does not is ended.
constexpr auto farewell = 8s;
/// Beyond the grace that the app got: for flushing logs and powering off.
constexpr auto stop_margin = 7s;

/// A stable, locally administered MAC address (IEEE 802c): every VM has its own network, so it need
/// not be unique.
constexpr const char* guest_mac = "52:54:00:6b:61:72";
}  // namespace

Vm::Vm(Host& host, wire::VmSpec spec)
    : host_(host),
      spec_(std::move(spec)),
      files_(host.settings, spec_.instance_id),
      outgoing_ready_(host.executor),
      tasks_(host.executor) {
  status_.instance_id = spec_.instance_id;
  status_.phase = "creating";
}

std::int64_t Vm::since_accepted() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               accepted_)
      .count();
}

bool Vm::ended() const {
  return status_.phase == "exited" || status_.phase == "failed" || status_.phase == "built";
}

void Vm::set_phase(std::string phase, std::string detail) {
  if (status_.phase != phase)
    log::info("VM " + phase,
              {log::field("app", spec_.app_id), log::field("instance", spec_.instance_id),
               log::field("deployment", spec_.deployment_id), log::field("ms", since_accepted()),
               log::field("detail", detail)});
  status_.phase = std::move(phase);
  status_.detail = std::move(detail);
  host_.changed();
}

void Vm::fail(std::string detail) {
  if (ended()) return;
  status_.healthy = false;
  status_.last_lines.assign(last_lines_.begin(), last_lines_.end());
  set_phase("failed", std::move(detail));
}

awaitable<Result<void>> Vm::make_disks(std::vector<DomainDisk>& disks) {
  const auto& settings = host_.settings;
  auto image = blob_path(settings, spec_.image_digest, "runtime image");
  if (!image) co_return image.error();
  auto scratch = blob_path(settings, spec_.scratch_digest, "scratch template");
  if (!scratch) co_return scratch.error();
  Process::Options create;
  create.argv = {"qemu-img", "create", "-q", "-f",     "qcow2",
                 "-F",       "raw",    "-b", *scratch, files_.overlay()};
  create.env = {{"PATH", "/usr/bin:/bin"}};
  auto started = Process::start(co_await asio::this_coro::executor, create);
  if (!started) co_return started.error();
  Process process = std::move(*started);
  const int code = co_await process.wait();
  if (code != 0)
    co_return Error(ErrorKind::internal,
                    fmt::format("qemu-img ended with {} for {}", code, files_.overlay()));
  auto given = give_to_qemu(settings, files_.overlay());
  if (!given) co_return given.error();
  disks = {{msg::disk::image, *image, "raw", true},
           {msg::disk::scratch, files_.overlay(), "qcow2", false}};
  const auto add = [&](const char* serial, const std::string& path,
                       bool read_only) -> Result<void> {
    if (!std::filesystem::exists(path))
      return Error(ErrorKind::not_found, fmt::format("the {} disk {} is missing", serial, path));
    disks.push_back({serial, path, "raw", read_only});
    return read_only ? ok() : give_to_qemu(settings, path);
  };
  if (spec_.kind == "run") {
    auto added = add(msg::disk::artifact, artifact_path(settings, spec_.artifact_digest), true);
    co_return added;
  }
  const std::string folder = build_folder(settings, spec_.build_id);
  auto added = add(msg::disk::source, folder + "/source.tar", true);
  if (added) added = add(msg::disk::cache, cache_path(settings, spec_.app_id), false);
  if (added) added = add(msg::disk::output, folder + "/output.img", false);
  co_return added;
}

awaitable<Result<void>> Vm::boot() {
  const auto& settings = host_.settings;
  auto made = make_folder(settings, files_.folder);
  if (!made) co_return made.error();
  auto saved = write_atomically(files_.spec(), wire::to_text(spec_));
  if (!saved) co_return saved.error();
  auto kernel = blob_path(settings, spec_.kernel_digest, "kernel");
  if (!kernel) co_return kernel.error();
  auto initrd = blob_path(settings, spec_.initrd_digest, "initrd");
  if (!initrd) co_return initrd.error();
  DomainSpec domain;
  auto disks = co_await make_disks(domain.disks);
  if (!disks) co_return disks.error();
  Result<void> network = Error(ErrorKind::internal, "no network");
  for (int attempt = 0; attempt < 3 && !network; ++attempt) {
    auto address = free_address(settings.address_prefix, spec_.run.port);
    if (!address) co_return address.error();
    ip_ = *address;
    network = co_await start_passt(settings, files_, ip_, spec_.run.port);
    if (!network && network.error().kind() != ErrorKind::conflict) break;
  }
  if (!network) co_return network.error();
  saved = write_atomically(files_.address(), ip_);
  if (!saved) co_return saved.error();
  domain.name = domain_name(spec_.instance_id);
  domain.kvm = host_.kvm;
  domain.memory_mb = spec_.memory_mb;
  // Software emulation gains nothing from a second virtual processor on the small machines where it
  // is used.
  domain.vcpus = host_.kvm ? spec_.vcpus : 1;
  domain.kernel = *kernel;
  domain.initrd = *initrd;
  domain.command_line = kernel_command_line(host_.kvm, domain.vcpus);
  domain.channel_socket = files_.channel();
  domain.console_log = files_.console();
  domain.network_socket = files_.network();
  domain.mac = guest_mac;
  const std::string xml = domain_xml(domain);
  auto create = [this, xml] { return host_.hypervisor.start(xml); };
  auto created = co_await offload(host_.pool, create);
  co_return created;
}

awaitable<bool> Vm::still_running() {
  auto ask = [this] { return host_.hypervisor.is_running(domain_name(spec_.instance_id)); };
  auto running = co_await offload(host_.pool, ask);
  if (!running) {
    log::warn("libvirt does not answer", {log::field("instance", spec_.instance_id),
                                          log::field("why", running.error().message())});
    co_return true;  // not known to be gone
  }
  co_return *running;
}

awaitable<void> Vm::destroy() {
  auto end = [this] { return host_.hypervisor.destroy(domain_name(spec_.instance_id)); };
  auto done = co_await offload(host_.pool, end);
  if (!done)
    log::warn("VM not ended", {log::field("instance", spec_.instance_id),
                               log::field("why", done.error().message())});
}

awaitable<void> Vm::run(bool adopted) {
  auto self = shared_from_this();
  if (adopted) {
    if (auto address = read_whole(files_.address())) ip_ = *address;
    set_phase("booting", "adopted");
  } else {
    auto booted = co_await boot();
    if (!booted)
      fail("the VM could not be started: " + booted.error().message());
    else
      set_phase("booting");
  }
  if (!ended()) {
    status_.address = fmt::format("{}:{}", ip_, spec_.run.port);
    status_.stages.process_ms = since_accepted();
    tasks_.spawn("start time-out", enforce_start_timeout());
    if (spec_.kind == "run" && !spec_.health.path.empty()) tasks_.spawn("health", watch_health());
    co_await converse();
  }
  if (detached_) {
    co_await tasks_.stop(0ms);
    co_return;
  }
  // The guest is silent for ever: it is gone, or it must go.
  co_await destroy();
  stop_passt(files_);
  co_await tasks_.stop(0ms);
  status_.healthy = false;
  if (have_build_result_) {
    set_phase("built");
  } else if (!ended()) {
    status_.last_lines.assign(last_lines_.begin(), last_lines_.end());
    if (have_exit_ || stopping_) {
      set_phase("exited", status_.detail);
    } else {
      std::string why = "the VM ended without a word";
      if (auto console = read_whole(files_.console()); console && !console->empty())
        why += "; its console says: " +
               console->substr(console->size() > 400 ? console->size() - 400 : 0);
      fail(why);
    }
  }
  std::error_code ignored;
  std::filesystem::remove_all(files_.folder, ignored);
}

void Vm::detach() {
  detached_ = true;
  if (socket_) socket_->close();
}

awaitable<void> Vm::converse() {
  auto executor = co_await asio::this_coro::executor;
  while (!detached_) {
    socket_ = std::make_unique<Socket>(executor);
    auto [connect_error] = co_await socket_->async_connect(files_.channel(), as_result);
    if (connect_error) {
      const bool running = co_await still_running();
      if (!running) co_return;
      const bool slept = co_await sleep_for(20ms);
      if (!slept) co_return;
      continue;
    }
    outgoing_.clear();
    send(msg::encode(msg::Attach{}));
    TaskGroup sender(executor);
    sender.spawn("guest sender", send_loop());
    std::string buffer;
    for (;;) {
      auto [ec, n] = co_await asio::async_read_until(
          *socket_, asio::dynamic_buffer(buffer, msg::max_line_bytes), '\n', as_result);
      if (ec == asio::error::not_found) {  // a line over the bound
        buffer.clear();
        continue;
      }
      if (ec) break;
      if (auto message = msg::decode<msg::FromGuest>(std::string_view(buffer).substr(0, n - 1)))
        handle(*message);
      buffer.erase(0, n);
    }
    socket_->close();
    co_await sender.stop(0ms);
    if (detached_) co_return;
    const bool running = co_await still_running();
    if (!running) co_return;
    const bool slept = co_await sleep_for(20ms);
    if (!slept) co_return;
  }
}

void Vm::send(std::string line) {
  outgoing_.push_back(std::move(line) + "\n");
  outgoing_ready_.cancel();
}

awaitable<void> Vm::send_loop() {
  for (;;) {
    if (outgoing_.empty()) {
      outgoing_ready_.expires_at(SteadyTime::max());
      co_await outgoing_ready_.async_wait(as_result);
      auto state = co_await asio::this_coro::cancellation_state;
      if (state.cancelled() != asio::cancellation_type::none) co_return;
      continue;
    }
    const std::string line = std::move(outgoing_.front());
    outgoing_.pop_front();
    auto [ec, n] = co_await asio::async_write(*socket_, asio::buffer(line), as_result);
    if (ec) co_return;
  }
}

void Vm::configure_guest() {
  msg::Config config;
  config.instance_id = spec_.instance_id;
  config.hostname = fmt::format("{}-{}", spec_.kind == "run" ? "app" : "build", spec_.number);
  config.kind = spec_.kind;
  config.time_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  config.network = guest_network();
  config.env = spec_.env;
  config.run = spec_.run;
  config.build = spec_.build;
  send(msg::encode(config));
}

void Vm::handle(const msg::FromGuest& message) {
  if (const auto* hello = std::get_if<msg::Hello>(&message)) {
    if (status_.stages.pid1_ms < 0) status_.stages.pid1_ms = since_accepted();
    if (!hello->configured) configure_guest();
    host_.changed();
  } else if (const auto* state = std::get_if<msg::State>(&message)) {
    guest_phase_ = state->phase;
    if (state->phase == "starting" || state->phase == "building") {
      if (status_.stages.exec_ms < 0) status_.stages.exec_ms = since_accepted();
      guest_hint_ = state->detail;
    }
    if (ended() || stopping_) return;
    if (state->phase == "listening") {
      if (status_.stages.listening_ms < 0) status_.stages.listening_ms = since_accepted();
      if (spec_.health.path.empty()) {
        if (status_.stages.healthy_ms < 0) status_.stages.healthy_ms = since_accepted();
        status_.healthy = true;
      }
      set_phase("running");
    } else if (state->phase != "configuring") {
      set_phase(state->phase, state->detail);
    }
  } else if (const auto* lines = std::get_if<msg::Log>(&message)) {
    handle_log(*lines);
  } else if (const auto* result = std::get_if<msg::BuildResult>(&message)) {
    status_.build = *result;
    have_build_result_ = true;
    tasks_.spawn("farewell", enforce_stop(farewell));
  } else if (const auto* exit = std::get_if<msg::Exit>(&message)) {
    have_exit_ = true;
    status_.detail = exit->reason;
    status_.healthy = false;
    host_.changed();
    tasks_.spawn("farewell", enforce_stop(farewell));
  }
}

void Vm::handle_log(const msg::Log& log) {
  wire::LogBatch batch;
  batch.app_id = spec_.app_id;
  batch.deployment_id = spec_.deployment_id;
  batch.instance_id = spec_.instance_id;
  batch.service = spec_.kind == "build" ? "build" : "app";
  batch.dropped = log.dropped;
  batch.lines = log.lines;
  for (const auto& line : log.lines) {
    last_lines_.push_back(line.text);
    if (last_lines_.size() > kept_lines) last_lines_.pop_front();
  }
  // Acknowledged only when the broker has it: a guest keeps what an agent that dies had not passed
  // on.
  auto acknowledge = [self = weak_from_this(), executor = outgoing_ready_.get_executor(),
                      seq = log.seq](Result<void> published) {
    if (!published) return;
    asio::post(executor, [self, seq] {
      if (auto vm = self.lock()) vm->send(msg::encode(msg::LogAck{seq}));
    });
  };
  auto queued = host_.publisher.publish_to_stream(broker::log_stream(spec_.app_id),
                                                  wire::to_text(batch), std::move(acknowledge));
  if (!queued)
    log::warn("log batch not queued", {log::field("instance", spec_.instance_id),
                                       log::field("why", queued.error().message())});
}

awaitable<void> Vm::watch_health() {
  int failures = 0;
  for (;;) {
    const bool was_healthy = status_.healthy;
    const auto pause = was_healthy ? std::chrono::milliseconds(spec_.health.interval_ms)
                                   : std::chrono::milliseconds(250);
    const bool slept = co_await sleep_for(pause);
    if (!slept || ended() || stopping_) co_return;
    if (status_.stages.listening_ms < 0) continue;
    http::ClientRequest request;
    request.url = "http://" + status_.address + spec_.health.path;
    request.headers = {{"X-Karreg-Monitoring", "health"}, {"User-Agent", "karreg-health"}};
    request.deadline = std::chrono::milliseconds(spec_.health.timeout_ms);
    request.max_body_bytes = 1024 * 1024;
    auto response = co_await http::fetch(std::move(request));
    if (ended() || stopping_) co_return;
    const bool good = response && response->status >= 200 && response->status < 400;
    if (good) {
      failures = 0;
      if (!status_.healthy) {
        status_.healthy = true;
        if (status_.stages.healthy_ms < 0) status_.stages.healthy_ms = since_accepted();
        set_phase("running");
      }
      continue;
    }
    guest_hint_ =
        fmt::format("GET {} answered {}", spec_.health.path,
                    response ? std::to_string(response->status) : response.error().message());
    if (status_.healthy && ++failures >= spec_.health.failures_to_unhealthy) {
      status_.healthy = false;
      set_phase("running", "unhealthy: " + guest_hint_);
    }
  }
}

awaitable<void> Vm::enforce_start_timeout() {
  if (spec_.kind != "run") {
    // The guest enforces the limit of the steps; this one is for a guest that does not.
    const bool slept = co_await sleep_for(std::chrono::milliseconds(spec_.build.wall_ms) + 300s);
    if (!slept) co_return;
    fail("the build VM did not end in time");
  } else {
    const bool slept = co_await sleep_for(std::chrono::milliseconds(spec_.start_timeout_ms));
    if (!slept || status_.stages.healthy_ms >= 0 || stopping_ || ended()) co_return;
    std::string why = fmt::format("it was not ready within {} s", spec_.start_timeout_ms / 1000);
    if (status_.stages.listening_ms < 0 && guest_hint_.empty())
      why += fmt::format(
          ": nothing listens on 0.0.0.0:{}; the app must listen on the port in the "
          "environment variable PORT",
          spec_.run.port);
    else
      why += ": " + guest_hint_;
    fail(why);
  }
  co_await destroy();
  if (socket_) socket_->close();
}

void Vm::stop() {
  if (stopping_) return;
  stopping_ = true;
  status_.healthy = false;
  if (ended()) return;
  set_phase("stopping");
  send(msg::encode(msg::Stop{spec_.stop_grace_ms}));
  tasks_.spawn("stop", enforce_stop(std::chrono::milliseconds(spec_.stop_grace_ms) + stop_margin));
}

awaitable<void> Vm::enforce_stop(std::chrono::milliseconds grace) {
  const bool slept = co_await sleep_for(grace);
  if (!slept) co_return;
  log::warn("VM did not end by itself", {log::field("instance", spec_.instance_id)});
  co_await destroy();
  if (socket_) socket_->close();
}

}  // namespace karreg::agent
