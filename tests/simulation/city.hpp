#pragma once
/// The whole platform in one process, under one seed: the scheduler's decisions as they are in
/// production, around them a database, a broker, hosts, proxies, a builder and owners that do what
/// such things do. Chance breaks them for a while; then all must come to rest.

#include <deque>
#include <memory>
#include <stdexcept>
#include <string>

#include "base.hpp"
#include "front.hpp"
#include "machine.hpp"
#include "network.hpp"
#include "scheduler/core/advance.hpp"
#include "scheduler/core/hearing.hpp"
#include "workshop.hpp"

namespace karreg::simulation {

/// Something that must hold did not.
struct Broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class City final : scheduler::IdSource {
 public:
  explicit City(std::uint64_t seed);

  /// @p steps of chaos, then peace until all is at rest. Throws Broken with seed, step, reason and
  /// the last events.
  void run(int steps);
  /// A digest of all that happened.
  std::uint64_t trace() const { return trace_; }
  /// How much happened, so that a test can see that it did.
  struct Count {
    int deployed = 0;
    int failed = 0;
    int cancelled = 0;
    int healed = 0;
    int faults = 0;
    int slept = 0;
    int woken = 0;
    int jobs = 0;
    int crons = 0;
    int skipped = 0;
    int rolled = 0;   ///< apps, onto a newer image
    int rebuilt = 0;  ///< of these
    int rolls = 0;    ///< that were done
    int stopped = 0;  ///< rolls
    int news = 0;     ///< of newer images
  };
  const Count& count() const { return count_; }

 private:
  std::string build() override { return "build-" + std::to_string(++ids_); }
  std::string instance() override;
  std::string job() override { return "job-" + std::to_string(++ids_); }
  std::string deployment() override { return "rolled-" + std::to_string(++ids_); }

  void step(bool calm);
  void owners();
  void push(scheduler::App& app);
  void request(scheduler::App& app, scheduler::Action action, const std::string& commit,
               int instances);
  void faults();
  void visitors();
  void deliver();
  void decide(bool calm);
  void note_ends(const World& before);
  void note_jobs(const World& before);
  void task(scheduler::App& app);
  void new_image(bool good);
  void roll();
  void note_rolls(const World& before);

  // checks.cpp
  void check();
  void check_proxies();
  void check_sleep(const Front& front) const;
  void check_hearing(const World& world);
  void check_jobs() const;
  void check_roll(const scheduler::Roll& roll) const;
  bool long_healthy(const scheduler::Instance& instance) const;
  bool better_known(const wire::Route& route, const std::string& broken_one) const;
  void check_stops(const Machine& machine, const std::map<std::string, Vm>& before);
  void check_served(const Front& front);
  bool excused(const Front& front) const;
  const Vm* find_vm(const std::string& id) const;
  /// Why not all is at rest; empty when it is.
  std::string unrest() const;
  /// Memory that a host has left, MiB.
  std::int64_t room_on(const std::string& host) const;
  std::string unrest_of(const scheduler::App& app) const;

  void happened(const std::string& what);
  [[noreturn]] void broken(const std::string& why) const;

  std::uint64_t seed_;
  Dice dice_;
  Time now_{std::chrono::hours(1000)};
  int step_ = 0;
  int ids_ = 0;
  int commits_ = 0;
  int images_ = 0;
  bool bad_image_ = false;
  std::set<std::string> told_;  ///< app and line about a newer image
  Network network_{dice_};
  Base base_;
  scheduler::Hearing hearing_;
  Workshop workshop_{dice_};
  std::vector<std::unique_ptr<Machine>> machines_;
  std::vector<std::unique_ptr<Front>> fronts_;
  /// Visitors come for a while, and then for a while they do not.
  struct Interest {
    bool lively = true;
    Time until{};
  };
  std::map<std::string, Interest> interest_;    ///< in apps
  Time nobody_comes_from_ = Time::max();        ///< at the end
  std::map<std::string, Time> agent_back_;      ///< machines whose agent is down
  std::map<std::string, Time> front_back_;      ///< proxies that are down
  std::map<std::string, Time> agent_up_since_;  ///< machines whose agent was down before
  std::map<std::string, Time> unheard_;         ///< host -> when it was last silent for a while
  std::map<std::string, Time> healthy_since_;   ///< instances that the scheduler takes for well
  std::map<std::string, std::string> served_;   ///< app -> deployment, as last seen
  std::set<std::pair<scheduler::CronKey, Time>> crons_;  ///< that were run
  std::map<std::string, Time> broke_;  ///< VMs that ended other than by being stopped
  Time scheduler_back_{};
  Time builder_back_{};
  Time trouble_until_{};  ///< of the scheduler or the broker
  Time next_round_{};
  bool news_ = true;
  std::uint64_t trace_ = 0xcbf29ce484222325;
  std::deque<std::string> last_;
  Count count_;
};

}  // namespace karreg::simulation
