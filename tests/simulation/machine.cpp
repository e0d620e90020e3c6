#include "machine.hpp"

#include "common/flavors.hpp"

namespace karreg::simulation {

using agent::Life;

namespace {
bool over(const Vm& vm) {
  return vm.phase == "exited" || vm.phase == "failed" || vm.phase == "built";
}
}  // namespace

void Machine::accept(const wire::HostDesired& desired) {
  if (desired_ && desired.generation < desired_->generation) return;
  desired_ = desired;
  changed_ = true;
}

void Machine::end(Vm& vm, std::string phase, std::string detail) {
  vm.runs = false;
  vm.ready = false;
  vm.broken = true;
  vm.sick_until.reset();
  changed_ = true;
  if (!agent_up_ || vm.life == Life::unknown) return;  // nobody saw it
  vm.phase = std::move(phase);
  vm.detail = std::move(detail);
  vm.life = Life::ended;
}

void Machine::advance_run(Vm& vm, Time now, bool calm) {
  const auto character = vm.character();
  if (vm.phase == "booting") {
    vm.phase = "starting";
    vm.reached = true;
    vm.next = now + (character == "never" ? 180s : dice_.between(500ms, 8s));
  } else if (vm.phase == "starting") {
    if (character == "never") {
      end(vm, "failed", "it was not ready within 180 s");
    } else if (character == "exits") {
      end(vm, "exited", "the app exited with code 1");
    } else {
      vm.phase = "running";
      vm.ready = true;
      if (character == "flaky") vm.breaks = now + dice_.between(10s, 120s);
    }
  } else if (vm.phase == "running" && vm.breaks && now >= *vm.breaks && !calm) {
    end(vm, "exited", "the app was killed by signal 11");
  }
}

void Machine::advance_job(Vm& vm, Time now) {
  if (vm.phase == "booting") {
    vm.phase = "starting";
    vm.reached = true;
    ++begun_[vm.spec.job.command];
    vm.next = now + dice_.between(500ms, 20s);
  } else if (vm.phase == "starting" && agent_up_ && vm.life == Life::live) {
    // A guest keeps how it ended until somebody hears it.
    const int code = dice_.chance(200) ? 1 : 0;
    vm.exit = {code, 0, false, "the command exited with " + std::to_string(code)};
    end(vm, "exited", vm.exit.reason);
    vm.broken = false;
  }
}

void Machine::advance(Vm& vm, Time now, bool calm) {
  if (!vm.runs || now < vm.next) return;
  if (vm.life == Life::stopping) {
    vm.runs = false;
    return;
  }
  const auto before = vm.phase;
  if (vm.phase == "creating") {
    if (!calm && dice_.chance(10)) {
      end(vm, "failed", "the VM could not be started");
    } else {
      vm.phase = "booting";
      vm.next = now + dice_.between(300ms, 3s);
    }
  } else if (vm.spec.kind == "run") {
    advance_run(vm, now, calm);
  } else if (vm.spec.kind == "job") {
    advance_job(vm, now);
  } else if (vm.phase == "booting") {
    vm.phase = "building";
    vm.reached = true;
    vm.next = now + dice_.between(1s, 20s);
  } else if (vm.phase == "building" && agent_up_ && vm.life == Life::live) {
    // A guest keeps its result until somebody hears it.
    const bool good = vm.character() != "nobuild";
    vm.result = {good, good ? 8192 : 0, good ? "" : "npm ci", good ? "" : "command exited with 1"};
    end(vm, "built", "");
    vm.broken = false;
  }
  if (vm.phase != before) changed_ = true;
}

void Machine::apply(const agent::Step& step, Time now) {
  using Kind = agent::Step::Kind;
  changed_ = true;
  switch (step.kind) {
    case Kind::create:
      for (const auto& spec : desired_->vms)
        if (spec.instance_id == step.instance_id) {
          Vm vm;
          vm.spec = spec;
          vm.next = now + dice_.between(100ms, 1s);
          vms_[step.instance_id] = std::move(vm);
        }
      return;
    case Kind::adopt:
      vms_.at(step.instance_id).life = Life::live;
      vms_.at(step.instance_id).adopted_until = now + dice_.between(10ms, 600ms);
      return;
    case Kind::mourn: {
      auto& vm = vms_.at(step.instance_id);
      vm.life = Life::ended;
      vm.phase = "failed";
      vm.detail = "it ended while no agent watched";
      return;
    }
    case Kind::recall:
      vms_.at(step.instance_id).life = Life::ended;
      return;
    case Kind::stop: {
      auto& vm = vms_.at(step.instance_id);
      vm.life = Life::stopping;
      vm.phase = "stopping";
      vm.ready = false;
      vm.next = now + dice_.between(200ms, 10s);
      return;
    }
    case Kind::forget:
    case Kind::destroy:
    case Kind::sweep:
      vms_.erase(step.instance_id);
      return;
  }
}

void Machine::step(Time now, bool calm) {
  for (auto& [id, vm] : vms_) advance(vm, now, calm);
  if (!agent_up_) return;
  if (std::erase_if(vms_, [](const auto& entry) {
        return entry.second.life == Life::stopping && !entry.second.runs;
      }) > 0)
    changed_ = true;
  agent::World seen;
  for (const auto& [id, vm] : vms_)
    seen[id] = {vm.life, over(vm) && !vm.runs ? agent::Books::ended : agent::Books::started,
                vm.runs};
  for (const auto& one : agent::converge(desired_ ? &*desired_ : nullptr, seen)) apply(one, now);
}

wire::VmStatus Machine::status(const Vm& vm, Time now) const {
  wire::VmStatus s;
  s.instance_id = vm.spec.instance_id;
  s.phase = vm.phase;
  s.detail = vm.detail;
  s.healthy = vm.ready && !vm.sick_until;
  s.stages.pid1_ms = vm.reached ? 1 : -1;
  s.address = "10.0.0.1:" + std::to_string(1000 + std::hash<std::string>{}(s.instance_id) % 60000);
  s.build = vm.result;
  s.exit = vm.exit;
  if (vm.runs && now < vm.adopted_until) {
    s.phase = "booting";
    s.healthy = false;
  }
  return s;
}

std::optional<wire::HostReport> Machine::report(Time now) {
  if (!agent_up_) return std::nullopt;
  for (auto& [id, vm] : vms_) {
    if (vm.sick_until && now >= *vm.sick_until) {
      vm.sick_until.reset();
      changed_ = true;
    }
    if (vm.adopted_until != Time{} && now >= vm.adopted_until) {
      vm.adopted_until = Time{};
      changed_ = true;
    }
  }
  if (!changed_ && now < next_report_) return std::nullopt;
  changed_ = false;
  next_report_ = now + 2s;
  wire::HostReport r;
  r.host_id = id_;
  r.agent_boot = std::to_string(boots_);
  r.generation = desired_ ? desired_->generation : 0;
  r.memory_mb = memory_mb_;
  r.builds = builds_;
  for (const auto& [id, vm] : vms_)
    if (vm.life != Life::unknown) r.vms.push_back(status(vm, now));
  return r;
}

void Machine::start_agent() {
  agent_up_ = true;
  changed_ = true;
  ++boots_;
  for (auto& [id, vm] : vms_) vm.life = Life::unknown;
}

void Machine::fail(Time) {
  kill_agent();
  for (auto& [id, vm] : vms_) {
    vm.runs = false;
    vm.ready = false;
    vm.broken = true;
    vm.sick_until.reset();
  }
}

std::string Machine::kill_a_vm(Time) {
  std::vector<Vm*> running;
  for (auto& [id, vm] : vms_)
    if (vm.runs && vm.life != Life::stopping) running.push_back(&vm);
  if (running.empty()) return {};
  Vm& vm = *running[dice_.below(running.size())];
  end(vm, "failed", "the VM ended without a word");
  return vm.spec.instance_id;
}

void Machine::make_one_sick(Time now) {
  for (auto& [id, vm] : vms_)
    if (vm.ready && !vm.sick_until) {
      vm.sick_until = now + dice_.between(5s, 60s);
      vm.detail = "unhealthy: GET / answered 500";
      changed_ = true;
      return;
    }
}

}  // namespace karreg::simulation
