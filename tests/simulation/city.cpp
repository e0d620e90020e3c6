#include "city.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

namespace karreg::simulation {

using scheduler::Action;
using scheduler::App;
using scheduler::Deployment;
using scheduler::DeploymentState;

City::City(std::uint64_t seed) : seed_(seed), dice_(seed * 0x9E3779B97F4A7C15 + 1) {
  const auto hosts = 1 + dice_.below(3);
  for (std::uint64_t i = 1; i <= hosts; ++i)
    machines_.push_back(
        // The third of three fetches artifacts from the store.
        std::make_unique<Machine>("host-" + std::to_string(i),
                                  2048 + static_cast<std::int64_t>(dice_.below(4)) * 2048, i < 3,
                                  dice_));
  const auto proxies = 1 + dice_.below(2);
  for (std::uint64_t i = 1; i <= proxies; ++i)
    fronts_.push_back(std::make_unique<Front>("proxy-" + std::to_string(i), dice_));
  new_image(true);
  const auto apps = 1 + dice_.below(3);
  for (std::uint64_t i = 1; i <= apps; ++i) {
    App app;
    app.id = "app-" + std::to_string(i);
    app.vhosts = {{app.id + ".localhost", "/"}};
    app.homogeneous = dice_.chance(150);
    app.cancel_on_push = dice_.chance(200);
    app.build_flavor = "XS";
    // What has a port does not sleep.
    if (dice_.chance(600))
      app.sleep_after = dice_.between(10s, 40s);
    else
      app.tcp_ports = {static_cast<std::uint16_t>(4000 + i)};
    base_.world.apps[app.id] = app;
  }
}

std::string City::instance() {
  return fmt::format("vm-{:05}", ++ids_);
}

void City::happened(const std::string& what) {
  for (const char c : what) trace_ = (trace_ ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  trace_ = (trace_ ^ static_cast<std::uint64_t>(now_.time_since_epoch().count())) * 0x100000001b3;
  last_.push_back(fmt::format(
      "{:9.3f} {}", static_cast<double>((now_ - Time{std::chrono::hours(1000)}).count()) / 1000.0,
      what));
  if (std::getenv("SIM_TRACE") != nullptr) std::fprintf(stderr, "%s\n", last_.back().c_str());
  if (last_.size() > 60) last_.pop_front();
}

void City::broken(const std::string& why) const {
  std::string text = fmt::format("seed {} step {}: {}\nreplay: SIM_SEED={}\nbefore that:", seed_,
                                 step_, why, seed_);
  for (const auto& line : last_) text += "\n  " + line;
  throw Broken(text);
}

void City::request(App& app, Action action, const std::string& commit, int instances) {
  Deployment d;
  d.number = app.next_deployment++;
  d.uuid = fmt::format("{}/{}", app.id, d.number);
  d.app_id = app.id;
  d.action = action;
  d.commit = commit;
  d.use_cache = !dice_.chance(100);
  d.instances = instances;
  d.flavor = dice_.chance(300) ? "nano" : "pico";
  d.requested_at = now_;
  d.phase_since = now_;
  happened(
      fmt::format("request {} {} {} x{}", d.uuid, static_cast<int>(action), commit, instances));
  base_.world.deployments[d.uuid] = d;
  news_ = true;
}

void City::push(App& app) {
  static constexpr const char* characters[] = {"good",  "good",    "good",  "good",  "good",
                                               "flaky", "nobuild", "exits", "never", "refused"};
  const std::string commit = fmt::format("{}-{}", characters[dice_.below(10)], ++commits_);
  request(app, Action::deploy, commit, 1 + static_cast<int>(dice_.below(3)));
}

/// The operator has made the images again; one in four breaks apps and is soon replaced, one in
/// four has another minor version of their language.
void City::new_image(bool good) {
  for (auto& [key, image] : base_.world.images) image.current = false;
  const std::string digest = fmt::format("{}-{}", good ? "image" : "bad", ++images_);
  base_.world.images[{"node", digest}] = {
      {"node run", {{{"node", dice_.chance(250) ? fmt::format("20.{}.1", images_) : "20.1.1"}}}},
      true};
  bad_image_ = !good;
  happened("new image " + digest);
  news_ = true;
}

void City::roll() {
  scheduler::Roll roll;
  roll.id = fmt::format("roll-{}", ++ids_);
  const auto size = static_cast<int>(1 + dice_.below(2));
  int place = 0;
  for (const auto& [id, app] : base_.world.apps)
    if (!app.serving_deployment.empty())
      roll.apps.push_back({id, place++ / size, scheduler::RollStep::waiting, "", ""});
  if (roll.apps.empty()) return;
  happened(fmt::format("{} of {} apps, {} a wave", roll.id, place, size));
  base_.world.rolls[roll.id] = roll;
  news_ = true;
}

void City::owners() {
  if (dice_.chance(bad_image_ ? 25 : 1)) new_image(bad_image_ || !dice_.chance(250));
  if (base_.world.rolls.empty() && dice_.chance(1)) roll();
  if (!base_.world.rolls.empty() && dice_.chance(1)) {
    base_.world.rolls.begin()->second.cancel_requested = true;
    happened("cancel " + base_.world.rolls.begin()->first);
  }
  for (auto& [id, app] : base_.world.apps) {
    if (app.deleted || !dice_.chance(3)) continue;
    const auto what = dice_.below(100);
    if (what < 50) {
      push(app);
    } else if (what < 60) {
      task(app);
    } else if (what < 70 && !app.commit.empty()) {
      request(app, Action::deploy, app.commit, 1 + static_cast<int>(dice_.below(2)));
    } else if (what < 78 && !app.serving_deployment.empty()) {
      request(app, Action::upscale, app.commit, 1 + static_cast<int>(dice_.below(3)));
    } else if (what < 90) {
      for (auto& [uuid, d] : base_.world.deployments)
        if (d.app_id == id && d.state == DeploymentState::wip) {
          d.cancel_requested = true;
          happened("cancel " + uuid);
          break;
        }
      for (auto& [job, j] : base_.world.jobs)
        if (j.app_id == id && j.open()) {
          j.cancel_requested = true;
          happened("cancel " + job);
          break;
        }
    } else if (what < 97) {
      request(app, Action::undeploy, "", 1);
    } else if (app.next_deployment > 4) {
      app.deleted = true;
      happened("delete " + id);
    }
    news_ = true;
  }
}

void City::faults() {
  if (!dice_.chance(8)) return;
  ++count_.faults;
  auto& machine = *machines_[dice_.below(machines_.size())];
  auto& front = *fronts_[dice_.below(fronts_.size())];
  const auto what = dice_.below(100);
  if (what < 25) {
    if (const auto id = machine.kill_a_vm(now_); !id.empty()) happened("VM dies: " + id);
  } else if (what < 40) {
    machine.kill_agent();
    agent_back_[machine.id()] = now_ + dice_.between(500ms, 90s);
    happened("agent dies: " + machine.id());
  } else if (what < 45) {
    machine.fail(now_);
    agent_back_[machine.id()] = now_ + dice_.between(5s, 120s);
    happened("host fails: " + machine.id());
  } else if (what < 60) {
    machine.make_one_sick(now_);
    happened("sickness on " + machine.id());
  } else if (what < 75) {
    front.kill();
    front_back_[front.id()] = now_ + dice_.between(200ms, 40s);
    happened("proxy dies: " + front.id());
  } else if (what < 87) {
    scheduler_back_ = now_ + dice_.between(100ms, 60s);
    hearing_ = {};
    trouble_until_ = std::max(trouble_until_, scheduler_back_);
    happened("scheduler dies");
  } else if (what < 95) {
    network_.down_until = now_ + dice_.between(500ms, 60s);
    trouble_until_ = std::max(trouble_until_, network_.down_until);
    happened("broker dies");
  } else {
    builder_back_ = now_ + dice_.between(1s, 30s);
    happened("builder dies");
  }
}

void City::visitors() {
  if (now_ > nobody_comes_from_) return;
  for (const auto& [id, app] : base_.world.apps) {
    auto& interest = interest_[id];
    if (now_ >= interest.until) {
      interest.lively = !interest.lively;
      interest.until = now_ + (interest.lively ? dice_.between(1s, 40s) : dice_.between(5s, 160s));
    }
    if (interest.lively && dice_.chance(200)) fronts_[dice_.below(fronts_.size())]->ask(id, now_);
  }
}

void City::deliver() {
  const auto receiver = [&](const std::string& to) {
    if (to == "scheduler") return now_ < scheduler_back_ ? Receiver::keeps : Receiver::takes;
    for (const auto& machine : machines_)
      if (machine->id() == to) return machine->agent_up() ? Receiver::takes : Receiver::keeps;
    for (const auto& front : fronts_)
      if (front->id() == to) return front->up() ? Receiver::takes : Receiver::loses;
    return Receiver::loses;
  };
  network_.deliver(now_, receiver, [&](const Message& message) {
    if (const auto* host = std::get_if<wire::HostReport>(&message.payload)) {
      static_cast<void>(base_.saw(*host, now_));
      news_ = true;
    } else if (const auto* proxy = std::get_if<wire::ProxyReport>(&message.payload)) {
      if (auto snapshot = base_.saw(*proxy, now_)) network_.send(now_, proxy->proxy_id, *snapshot);
      news_ = true;
    } else if (const auto* traffic = std::get_if<wire::TrafficReport>(&message.payload)) {
      if (base_.saw(*traffic, now_)) news_ = true;
    } else if (const auto* desired = std::get_if<wire::HostDesired>(&message.payload)) {
      for (const auto& machine : machines_)
        if (machine->id() == message.to) machine->accept(*desired);
    } else {
      for (const auto& front : fronts_) {
        if (front->id() != message.to) continue;
        if (const auto* update = std::get_if<wire::RouteUpdate>(&message.payload))
          front->take(*update, now_);
        else
          front->take(std::get<wire::RouteSnapshot>(message.payload), now_);
      }
    }
  });
}

void City::task(App& app) {
  if (app.serving_deployment.empty()) return;
  scheduler::Job j;
  j.id = job();
  j.app_id = app.id;
  j.deployment = app.serving_deployment;
  j.command = "task";
  j.flavor = "pico";
  j.requested_at = now_;
  happened("task " + j.id);
  base_.world.jobs[j.id] = j;
}

void City::note_jobs(const World& before) {
  for (const auto& [id, j] : base_.ended_jobs) {
    const auto old = before.jobs.find(id);
    if (old != before.jobs.end() && !old->second.open()) continue;
    if (old == before.jobs.end() && j.ended_at != now_) continue;
    happened(fmt::format("{} ends {} {}", id, static_cast<int>(j.state), j.message));
    count_.skipped += j.state == scheduler::JobState::skipped;
    count_.jobs += j.state == scheduler::JobState::succeeded;
  }
  for (const auto& [id, j] : base_.world.jobs) {
    if (j.kind != scheduler::JobKind::cron || before.jobs.contains(id)) continue;
    ++count_.crons;
    if (!crons_.emplace(scheduler::CronKey{j.app_id, j.schedule, j.command}, *j.due).second)
      broken(id + " runs for a time that another has run for");
  }
}

void City::note_rolls(const World& before) {
  for (const auto& [id, old] : before.rolls) {
    const auto open = base_.world.rolls.find(id);
    const auto& roll = open == base_.world.rolls.end() ? base_.ended_rolls.at(id) : open->second;
    check_roll(roll);
    for (std::size_t i = 0; i < roll.apps.size(); ++i) {
      const auto& app = roll.apps[i];
      if (app == old.apps[i]) continue;
      happened(fmt::format("{}: {} is {} ({}) {}", id, app.app_id, static_cast<int>(app.step),
                           app.deployment, app.message));
      count_.rolled += app.step == scheduler::RollStep::done;
    }
    if (roll.state == scheduler::RollState::running) continue;
    happened(fmt::format("{} ends {} {}", id, static_cast<int>(roll.state), roll.message));
    count_.rolls += roll.state == scheduler::RollState::done;
    count_.stopped += roll.state == scheduler::RollState::stopped;
  }
  for (const auto& [uuid, d] : base_.world.deployments)
    count_.rebuilt += d.cause == "New image" && !before.deployments.contains(uuid) &&
                      d.phase == scheduler::Phase::building;
}

void City::note_ends(const World& before) {
  for (const auto& [uuid, d] : base_.past) {
    const auto old = before.deployments.find(uuid);
    if (old == before.deployments.end() || old->second.state != DeploymentState::wip) continue;
    happened(fmt::format("{} ends {} {}", uuid, static_cast<int>(d.state), d.message));
    count_.failed += d.state == DeploymentState::fail;
    count_.cancelled += d.state == DeploymentState::cancelled;
  }
  for (const auto& [uuid, d] : base_.world.deployments) {
    const auto old = before.deployments.find(uuid);
    if (d.state == DeploymentState::ok && old != before.deployments.end() &&
        old->second.state == DeploymentState::wip) {
      happened(uuid + " is in service");
      ++count_.deployed;
    }
  }
}

void City::decide(bool calm) {
  if (now_ < scheduler_back_ || (!news_ && now_ < next_round_)) return;
  next_round_ = now_ + 500ms;
  news_ = false;
  World before = base_.world;
  before.hearing_since = hearing_.since(before, now_);
  check_hearing(before);
  auto [after, notes] = scheduler::advance(before, now_, *this);
  if (!calm && dice_.chance(50)) {  // the transaction did not commit
    news_ = true;
    return;
  }
  for (const auto& note : notes) {
    happened(note.deployment + ": " + note.text);
    count_.slept += note.text.find("goes to sleep") != std::string::npos;
    count_.woken += note.text.starts_with("Awake again");
    if (note.text.starts_with("There is a newer image")) {
      ++count_.news;
      if (!told_.insert(note.app_id + ": " + note.text).second)
        broken(note.app_id + " is told twice of the same image");
    }
    count_.healed += note.text.find("starting another") != std::string::npos ||
                     note.text.find(" ended: ") != std::string::npos;
  }
  const auto update = base_.save(std::move(after), now_);
  if (const auto why = scheduler::broken_invariant(base_.world); !why.empty()) broken(why);
  note_ends(before);
  note_jobs(before);
  note_rolls(before);
  if (update) {
    happened(fmt::format("routes {}", update->version));
    for (const auto& front : fronts_) network_.send(now_, front->id(), *update);
  }
  for (const auto& desired : base_.desired_to_send()) network_.send(now_, desired.host_id, desired);
}

void City::step(bool calm) {
  ++step_;
  now_ += dice_.between(20ms, calm ? 600ms : 250ms);
  if (!calm) {
    owners();
    faults();
  }
  for (const auto& machine : machines_)
    if (auto it = agent_back_.find(machine->id()); it != agent_back_.end() && now_ >= it->second) {
      machine->start_agent();
      agent_up_since_[machine->id()] = now_;
      happened("agent starts: " + machine->id());
      agent_back_.erase(it);
    }
  for (const auto& front : fronts_)
    if (auto it = front_back_.find(front->id()); it != front_back_.end() && now_ >= it->second) {
      front->start(now_);
      happened("proxy starts: " + front->id());
      front_back_.erase(it);
    }
  deliver();
  for (const auto& machine : machines_) {
    const auto before = machine->vms();
    machine->step(now_, calm);
    check_stops(*machine, before);
    if (auto report = machine->report(now_)) network_.send(now_, "scheduler", *report);
  }
  visitors();
  for (const auto& front : fronts_) {
    if (auto report = front->report(now_)) network_.send(now_, "scheduler", *report);
    for (const auto& traffic : front->traffic(now_)) network_.send(now_, "scheduler", traffic);
  }
  if (now_ >= builder_back_ && workshop_.step(base_, now_)) news_ = true;
  decide(calm);
  check();
}

void City::run(int steps) {
  for (int i = 0; i < steps; ++i) step(false);
  happened("peace");
  // What is pushed on a bad image does not come to rest before a good one is there.
  new_image(true);
  network_.faulty = false;
  const Time peace = now_;
  nobody_comes_from_ = now_ + 60s;
  std::string why = "not looked yet";
  for (Time at_rest{};;) {
    step(true);
    why = unrest();
    if (!why.empty())
      at_rest = Time{};
    else if (at_rest == Time{})
      at_rest = now_;
    else if (now_ - at_rest > 15s)
      return;
    if (now_ - peace > 45min) broken("not at rest after 45 minutes of peace: " + why);
  }
}

}  // namespace karreg::simulation
