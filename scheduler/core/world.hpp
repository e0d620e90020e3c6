#pragma once
/// What the scheduler knows when it decides: plain values, ordered, loaded in one transaction and
/// saved by difference.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/images.hpp"
#include "common/wire/host.hpp"
#include "common/wire/plan.hpp"
#include "common/wire/routes.hpp"

namespace karreg::scheduler {

/// Wall clock, as the database keeps it.
using Time = std::chrono::sys_time<std::chrono::milliseconds>;
using std::chrono::milliseconds;

enum class DeploymentState { wip, ok, fail, cancelled };
enum class Phase { queued, building, releasing, starting, switching, draining, ended };
enum class Action { deploy, undeploy, upscale, downscale };
enum class BuildState { queued, planning, prepared, running, built, succeeded, failed };
enum class InstanceKind {
  run,    ///< of the app: it serves
  build,  ///< runs the steps of a build
  job,    ///< runs one command to its end
};
enum class Routed { no, yes, draining };
enum class JobKind {
  release,  ///< once a deployment, before its instances start
  cron,     ///< at a time of a schedule
  task,     ///< when somebody asks
};
enum class JobState { queued, running, succeeded, failed, cancelled, skipped };
enum class RollState {
  running,
  done,       ///< each app was brought onto its present image, or skipped
  stopped,    ///< one failed, and no wave after its own was begun
  cancelled,  ///< on request
};
enum class RollStep {
  waiting,    ///< for its wave, or for the end of another deployment of the app
  deploying,  ///< until that ends
  done,
  skipped,    ///< there was nothing to do for it
  failed,     ///< it stays on what it had
  untouched,  ///< the roll ended before
};
enum class Sleep {
  awake,
  asleep,  ///< it has no instances, or they drain; requests are held
  waking,  ///< it is to have instances again; requests are held until one is healthy
};

struct Vhost {
  std::string host;
  std::string path = "/";
  auto operator<=>(const Vhost&) const = default;
};

struct App {
  std::string id;
  std::string state = "SHOULD_BE_DOWN";
  bool deleted = false;
  bool torn_down = false;
  bool homogeneous = false;  ///< downtime is allowed
  bool sticky_sessions = false;
  bool force_https = false;
  bool cancel_on_push = false;
  bool separate_build = true;  ///< builds have a size of their own; else that of the instances
  std::string build_flavor = "S";
  std::string serving_deployment;
  std::string commit;
  std::vector<Vhost> vhosts;
  std::vector<std::uint16_t> tcp_ports;  ///< that lead to its instances, ascending
  wire::SharedRules rules;               ///< that proxies keep for it
  milliseconds sleep_after{0};           ///< without a request it may sleep after it; 0: never
  Sleep sleep = Sleep::awake;
  std::optional<Time> sleep_since;    ///< when @c sleep has changed
  std::optional<Time> last_request;   ///< that is known of
  std::vector<wire::CronEntry> cron;  ///< of the version in service
  int next_deployment = 1;            ///< its number
  bool operator==(const App&) const = default;
};

struct Deployment {
  std::string uuid;
  std::string app_id;
  int number = 0;
  Action action = Action::deploy;
  std::string cause;  ///< "Git push", "Restart", ...
  std::string author;
  std::string commit;
  bool use_cache = true;
  int instances = 1;
  std::string flavor = "XS";
  DeploymentState state = DeploymentState::wip;
  Phase phase = Phase::queued;
  bool cancel_requested = false;
  std::string message;
  std::string build_id;
  /// From `starting` on, with what follows; of one that a roll has made, before.
  std::string artifact_digest;
  std::string runtime;  ///< key of the image catalogue
  std::string image;    ///< digest of what its instances boot; empty: not known
  std::optional<std::uint64_t> switch_version;
  Time requested_at{};
  Time phase_since{};
  std::optional<Time> ended_at;
  bool operator==(const Deployment&) const = default;
};

struct Build {
  std::string id;
  std::string app_id;
  std::string deployment;
  std::string commit;
  bool use_cache = true;
  BuildState state = BuildState::queued;
  std::string artifact_digest;
  std::int64_t output_bytes = 0;
  std::string message;
  std::string runtime;                ///< of its plan, once there is one; never changed here
  std::string image;                  ///< the run image that goes with its artifact; the same
  std::string release;                ///< of its plan; the same
  std::vector<wire::CronEntry> cron;  ///< the same
  Time state_since{};
  bool operator==(const Build&) const = default;
};

struct Instance {
  std::string id;
  std::string app_id;
  std::string deployment;
  std::string build_id;  ///< of kind build
  std::string job_id;    ///< of kind job
  InstanceKind kind = InstanceKind::run;
  int number = 0;
  std::string host_id;
  std::string flavor;
  bool wanted = true;
  std::string phase = "placed";  ///< of wire::VmStatus
  bool healthy = false;
  std::string address;
  std::string detail;
  std::string last_lines;
  std::optional<wire::guest::BuildResult> result;
  std::optional<wire::guest::Exit> exit;  ///< phase `exited`, where the guest said it
  bool reached_guest = false;             ///< karreg-init spoke
  Routed routed = Routed::no;
  std::uint64_t routed_version = 0;
  bool slept = false;  ///< it goes because its application sleeps, which is no failure
  Time created_at{};
  std::optional<Time> unwanted_at;
  std::optional<Time> healthy_at;
  std::optional<Time> ended_at;
  bool operator==(const Instance& other) const;

  bool runs() const { return kind == InstanceKind::run; }
  bool builds() const { return kind == InstanceKind::build; }
  /// It ended by itself and will not come back; or its agent stops it though it is wanted, which no
  /// later state of ours takes back.
  bool terminal() const {
    return phase == "exited" || phase == "failed" || phase == "built" ||
           (phase == "stopping" && wanted);
  }
  /// Takes memory on its host.
  bool alive() const { return !ended_at && wanted; }
};

/// A command that runs once, in a VM of its own, from the artifact and with the environment of a
/// deployment.
struct Job {
  std::string id;
  std::string app_id;
  std::string deployment;
  JobKind kind = JobKind::task;
  std::string command;      ///< shell
  std::string schedule;     ///< of kind cron
  std::optional<Time> due;  ///< of kind cron: the time that it runs for
  std::string flavor;
  milliseconds wall{3'600'000};  ///< it is ended after it
  JobState state = JobState::queued;
  bool cancel_requested = false;
  std::string message;           ///< what it waits for, or how it ended
  std::optional<int> exit_code;  ///< once it ended by itself; 128 + n by signal n, as in a shell
  std::string instance;          ///< that runs it, or did last
  Time requested_at{};
  std::optional<Time> started_at;  ///< it was placed on a host
  std::optional<Time> ended_at;
  bool operator==(const Job&) const = default;

  bool open() const { return state == JobState::queued || state == JobState::running; }
};

/// Up to when the times of an entry of an app's cron have been dealt with.
struct CronKey {
  std::string app_id;
  std::string schedule;
  std::string command;
  auto operator<=>(const CronKey&) const = default;
};

/// A run image that the catalogue names, or that an app runs on.
struct ImageKey {
  std::string runtime;  ///< key of the catalogue
  std::string digest;
  auto operator<=>(const ImageKey&) const = default;
};
struct Image {
  ImageFacts facts;
  bool current = false;  ///< the catalogue names it
  bool operator==(const Image&) const = default;
};

/// The owner of an app was told that there is a newer image than the one it runs on.
struct ImageNews {
  std::string app_id;
  ImageKey image;
  auto operator<=>(const ImageNews&) const = default;
};

struct RollApp {
  std::string app_id;
  int wave = 0;  ///< from 0
  RollStep step = RollStep::waiting;
  std::string deployment;  ///< that was made for it
  std::string message;     ///< what it waits for, why it was skipped or failed
  bool operator==(const RollApp&) const = default;

  bool open() const { return step == RollStep::waiting || step == RollStep::deploying; }
};

/// Apps of one owner that are brought onto the present images of their runtimes, wave by wave.
struct Roll {
  std::string id;
  std::string author;
  RollState state = RollState::running;
  bool cancel_requested = false;
  std::string message;        ///< why it ended before its time
  std::vector<RollApp> apps;  ///< in their order, waves ascending
  std::optional<Time> ended_at;
  bool operator==(const Roll&) const = default;
};

struct Host {
  std::string id;
  std::int64_t memory_mb = 0;
  Time last_seen{};
  bool builds = true;  ///< it shares the data folder, where the disks of builds are
};

struct Proxy {
  std::string id;
  std::uint64_t version = 0;
  std::map<std::string, int> draining;
  Time last_seen{};
  std::optional<Time> covered_since{};  ///< all that it was asked since then is known ...
  Time covered_until{};                 ///< ... until then
};

/// Tunables of the decisions.
struct Policy {
  milliseconds drain_timeout{30'000};    ///< an old instance's open requests are cut after it
  milliseconds host_lost_after{30'000};  ///< a silent host's instances are replaced after it
  milliseconds host_sure{6'000};         ///< three reports; one silent for longer may be gone
  milliseconds host_fresh{15'000};       ///< nothing is placed on a host silent for longer
  /// What is to be stopped on a host silent for longer counts as gone; if the host comes back, its
  /// agent stops it all the same.
  milliseconds host_forgotten{3'600'000};
  milliseconds proxy_live{10'000};        ///< a proxy silent for longer is not waited for
  milliseconds figures_fresh{15'000};     ///< three reports; what proxies are asked is known
  milliseconds all_heard{30'000};         ///< longer than it takes proxies to come back to a broker
  milliseconds waking_timeout{180'000};   ///< requests are held for one that wakes, not for longer
  milliseconds proxy_forgotten{900'000};  ///< ... even when the scheduler itself was away meanwhile
  milliseconds switch_timeout{
      30'000};  ///< proxies that do not acknowledge by then are not waited for, if one did
  milliseconds capacity_timeout{120'000};  ///< how long a deployment waits for room
  milliseconds starting_timeout{600'000};  ///< from placing the first instance to all healthy
  milliseconds build_timeout{3'600'000};
  milliseconds release_timeout{1'800'000};  ///< what a release command may take
  milliseconds cron_late{60'000};  ///< a time of a cron that is seen later than this was missed
  milliseconds backoff_first{1'000};
  milliseconds backoff_most{60'000};
  milliseconds backoff_window{600'000};  ///< failures older than this are forgiven
};

struct World {
  std::map<std::string, App> apps;
  /// Open and serving ones, and those of running rolls.
  std::map<std::string, Deployment> deployments;
  std::map<std::string, Build> builds;  ///< of open and serving deployments
  std::map<std::string, Instance>
      instances;                    ///< not ended, and recently ended of serving deployments
  std::map<std::string, Job> jobs;  ///< open ones, and releases of open deployments
  std::map<CronKey, Time> cron_marks;
  std::map<ImageKey, Image> images;
  std::set<ImageNews> image_news;     ///< about current images
  std::map<std::string, Roll> rolls;  ///< running ones
  std::map<std::string, Host> hosts;
  std::map<std::string, Proxy> proxies;
  std::map<wire::RouteKey, wire::Route> routes;
  std::map<std::uint16_t, wire::TcpRoute> tcp_routes;  ///< by port
  std::uint64_t route_version = 0;
  /// Since when reports come in without a gap: silence before says nothing about who was silent.
  Time hearing_since{};
  Policy policy;
};

/// A line for the owner's log about what the platform does for the app.
struct Note {
  std::string app_id;
  std::string deployment;
  std::string text;
};

/// Makes ids for new rows; random in production, counted in tests.
class IdSource {
 public:
  virtual ~IdSource() = default;
  virtual std::string build() = 0;
  virtual std::string instance() = 0;
  virtual std::string job() = 0;
  virtual std::string deployment() = 0;
};

/// How long somebody last seen at @p last_seen has been silent while the scheduler could hear.
milliseconds silence(const World& world, Time last_seen, Time now);
/// Whether a proxy may have visitors, though it be silent.
bool is_in_service(const World& world, const Proxy& proxy, Time now);
/// Whether a proxy is waited for at @p now.
bool is_live(const World& world, const Proxy& proxy, Time now);
/// Whether the host of @p instance has been silent for longer than @p limit; false while it has no
/// host.
bool host_silent(const World& world, const Instance& instance, milliseconds limit, Time now);
/// "12.3 s" between two times.
std::string seconds_between(Time from, Time to);

/// invariants.cpp: empty when an advanced world is as it must be, else the first thing that is
/// wrong; checked by tests and the simulation.
std::string broken_invariant(const World& world);

}  // namespace karreg::scheduler
