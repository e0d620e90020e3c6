#pragma once
/// The conversation between karreg-agent and karreg-init (PID 1 of every VM) over virtio-serial.
/// Newline-delimited JSON, one object a line, at most `max_line_bytes`; see docs/contracts.md §3.
/// Header-only and free of anything but the standard library and nlohmann/json, so that the static
/// guest shares it.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/json.hpp"

namespace karreg::wire::guest {

/// Name of the virtio-serial port, seen in the guest as /sys/class/virtio-ports/*/name.
inline constexpr const char* port_name = "org.karreg.agent.0";
inline constexpr int protocol_version = 1;
inline constexpr std::size_t max_line_bytes = std::size_t{256} * 1024;
/// One line of a program's output; a longer one goes on in the next line (docs/contracts.md §3).
inline constexpr std::size_t max_log_line_bytes = std::size_t{16} * 1024;

/// Serial numbers that tell the virtio disks apart (docs/contracts.md §4).
namespace disk {
inline constexpr const char* image = "image";
inline constexpr const char* scratch = "scratch";
inline constexpr const char* artifact = "artifact";
inline constexpr const char* source = "source";
inline constexpr const char* cache = "cache";
inline constexpr const char* output = "output";
}  // namespace disk

/// IPv4 settings of eth0; addresses in dotted form, @c prefix in bits.
struct Network {
  std::string address;
  int prefix = 24;
  std::string gateway;
  std::vector<std::string> dns;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Network, address, prefix, gateway, dns)
};

/// A process beside the app's own in a `run` VM: @c command (shell) as user `app` in the app's
/// workdir, started when the app is. @c restart: "on-failure" (it ended otherwise than with 0),
/// "always", or "no"; @c restart_delay_ms passes before it is started again. When the app's own
/// process ends, so do its workers, and a worker that ends never ends the app.
struct Worker {
  std::string name;  ///< of its log lines: "worker", "mail"; unique in its VM
  std::string command;
  std::string restart = "on-failure";
  std::int64_t restart_delay_ms = 1'000;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Worker, name, command, restart, restart_delay_ms)
  bool operator==(const Worker&) const = default;
};

/// What a `run` VM does: @c pre_run (shell, may be empty) once, then @c command (argv) as user
/// `app` in @c workdir, and the @c workers beside it. The app is *listening* when something accepts
/// on @c port at the address of eth0 (not only on 127.0.0.1).
struct RunConfig {
  std::string pre_run;
  std::vector<std::string> command;
  std::string workdir = "/app";
  int port = 8080;
  std::vector<Worker> workers;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(RunConfig, pre_run, command, workdir, port, workers)
};

/// What a `job` VM does: @c command (shell) once as user `app` in @c workdir, with the disks of a
/// run VM and nothing beside it. Its end is the VM's, told as `exit`.
struct JobConfig {
  std::string command;
  std::string workdir = "/app";
  std::int64_t wall_ms = 3'600'000;  ///< it is ended after it
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(JobConfig, command, workdir, wall_ms)
};

/// One step of a build: @c command is given to `/bin/sh -ec` as user `app` in the source folder.
/// With @c own_users it sees itself as root, and has 65535 other users, in a user namespace whose
/// root is `app` and whose other users are nobody else's in the VM: what makes images needs them.
struct BuildStep {
  std::string name;
  std::string command;
  bool own_users = false;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(BuildStep, name, command, own_users)
};

/// Below it an artifact that is the whole root of its app keeps the configuration of its image.
inline constexpr const char* image_config_file = "/.karreg/image.json";
/// The one word of a RunConfig::command that stands for the start that the image's configuration
/// tells.
inline constexpr const char* image_start = "/.karreg/start";

/// What a `build` VM does: unpack the source disk into @c workdir, run the steps, pack @c
/// output_root as erofs onto the output disk: a folder, whose files all become the user `app`'s, or
/// a tar archive, whose members keep their owners.
struct BuildConfig {
  std::vector<BuildStep> steps;
  std::string workdir = "/app";
  std::string output_root = "/app";
  std::int64_t wall_ms = 900'000;     ///< all steps together
  std::int64_t max_processes = 2048;  ///< processes and threads of the build user
  std::string ca_pem;  ///< certificates of authorities that the build trusts, too; may be empty
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(BuildConfig, steps, workdir, output_root, wall_ms,
                                              max_processes, ca_pem)
};

/// agent -> guest, once, in answer to `hello{configured:false}`. @c kind is "run", "build" or
/// "job".
struct Config {
  std::string instance_id;
  std::string hostname;
  std::string kind;
  std::int64_t time_ns = 0;  ///< wall clock of the host, nanoseconds since the epoch
  Network network;
  std::map<std::string, std::string> env;
  RunConfig run;
  BuildConfig build;
  JobConfig job;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Config, instance_id, hostname, kind, time_ns, network,
                                              env, run, build, job)
};

/// agent -> guest after every (re)connection: "repeat what I may have missed".
struct Attach {
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Attach, protocol)
  int protocol = protocol_version;
};

/// agent -> guest: log batches up to and including @c seq are durable and may be forgotten.
struct LogAck {
  std::uint64_t seq = 0;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(LogAck, seq)
};

/// agent -> guest: SIGTERM to the app's process group, SIGKILL after @c grace_ms, flush, `exit`,
/// power off.
struct Stop {
  std::int64_t grace_ms = 10'000;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Stop, grace_ms)
};

/// agent -> guest, to one that `pongs`: "are you there?". It answers at once with `pong` of the
/// same @c id.
struct Ping {
  std::uint64_t id = 0;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Ping, id)
};

/// agent -> guest, when it is attached and then once a minute: the wall clock of the host, in
/// nanoseconds since the epoch. A VM that was paused, or is emulated on a busy host, falls behind.
struct Time {
  std::int64_t time_ns = 0;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Time, time_ns)
};

/// guest -> agent: first message and answer to `attach`. @c uptime_ms: kernel uptime when PID 1
/// began. @c pongs: it answers `ping`, which guests of older images do not.
struct Hello {
  int protocol = protocol_version;
  bool configured = false;
  std::string instance_id;  ///< empty until configured
  std::int64_t uptime_ms = 0;
  bool pongs = false;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Hello, protocol, configured, instance_id, uptime_ms,
                                              pongs)
};

/// guest -> agent: where the VM is. @c phase: configuring | pre_run | building | packing | starting
/// | listening | stopping | exited.
/// @c uptime_ms is the guest's monotonic clock when the phase began; @c detail is for a human (name
/// of a build step, "listens on 127.0.0.1 only" ...).
struct State {
  std::string phase;
  std::int64_t uptime_ms = 0;
  std::string detail;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(State, phase, uptime_ms, detail)
};

/// One line printed inside the VM. @c stream: "out", "err" (the app), "build", or "karreg" (the
/// init itself). @c process: name of the worker that printed it; empty: none did.
struct LogLine {
  std::int64_t time_ns = 0;
  std::string stream;
  std::string text;
  std::string process = {};
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(LogLine, time_ns, stream, text, process)
};

/// guest -> agent. @c seq counts batches from 1; @c dropped: lines lost before this batch because
/// the guest's bounded buffer was full.
struct Log {
  std::uint64_t seq = 0;
  std::uint64_t dropped = 0;
  std::vector<LogLine> lines;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Log, seq, dropped, lines)
};

/// guest -> agent: the end of a build. @c ok with @c output_bytes (multiple of 4096) written to the
/// output disk, or @c failed_step and @c reason
/// ("command exited with 1", "time limit of 900 s reached", "no space left on the build disk", "out
/// of memory" ...).
struct BuildResult {
  bool ok = false;
  std::int64_t output_bytes = 0;
  std::string failed_step;
  std::string reason;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(BuildResult, ok, output_bytes, failed_step, reason)
};

/// guest -> agent: the app or the job ended (run and job VMs), just before power off. @c exit_code
/// or @c signal is set; @c timed_out: a job's time was over; @c reason is a sentence.
struct Exit {
  int exit_code = 0;
  int signal = 0;
  bool oom = false;
  std::string reason;
  bool timed_out = false;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Exit, exit_code, signal, oom, reason, timed_out)
};

/// guest -> agent: the answer to `ping`.
struct Pong {
  std::uint64_t id = 0;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Pong, id)
};

using FromGuest = std::variant<Hello, State, Log, BuildResult, Exit, Pong>;
using ToGuest = std::variant<Config, Attach, LogAck, Stop, Ping, Time>;

namespace detail {
template <class T>
constexpr const char* type_name() {
  if constexpr (std::is_same_v<T, Config>) return "config";
  if constexpr (std::is_same_v<T, Attach>) return "attach";
  if constexpr (std::is_same_v<T, LogAck>) return "log_ack";
  if constexpr (std::is_same_v<T, Stop>) return "stop";
  if constexpr (std::is_same_v<T, Ping>) return "ping";
  if constexpr (std::is_same_v<T, Time>) return "time";
  if constexpr (std::is_same_v<T, Hello>) return "hello";
  if constexpr (std::is_same_v<T, State>) return "state";
  if constexpr (std::is_same_v<T, Log>) return "log";
  if constexpr (std::is_same_v<T, BuildResult>) return "build_result";
  if constexpr (std::is_same_v<T, Exit>) return "exit";
  if constexpr (std::is_same_v<T, Pong>) return "pong";
}

template <class Variant, std::size_t I = 0>
std::optional<Variant> parse_as(const std::string& type, const nlohmann::json& j) {
  if constexpr (I == std::variant_size_v<Variant>) {
    return std::nullopt;
  } else {
    using T = std::variant_alternative_t<I, Variant>;
    if (type == type_name<T>()) return Variant(j.get<T>());
    return parse_as<Variant, I + 1>(type, j);
  }
}
}  // namespace detail

/// The JSON object of @p message with its "type", on one line without the newline. Invalid UTF-8
/// becomes U+FFFD.
template <class T>
std::string encode(const T& message) {
  nlohmann::json j = message;
  j["type"] = detail::type_name<T>();
  return j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// One line into a message of @p Variant (FromGuest or ToGuest); nothing for anything that is not
/// one of them.
template <class Variant>
std::optional<Variant> decode(std::string_view line) {
  auto j = nlohmann::json::parse(line, nullptr, false);
  if (!j.is_object()) return std::nullopt;
  auto type = j.find("type");
  if (type == j.end() || !type->is_string()) return std::nullopt;
  try {
    return detail::parse_as<Variant>(type->get<std::string>(), j);
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace karreg::wire::guest
