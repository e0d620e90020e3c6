#include "hypervisor-agent/agent.hpp"

#include "common/async/offload.hpp"
#include "common/ids.hpp"
#include "common/log.hpp"
#include "common/wire/json.hpp"
#include "hypervisor-agent/network.hpp"

namespace karreg::agent {

using namespace std::chrono_literals;

namespace {
constexpr auto report_interval = 2000ms;
/// Changes that come together travel together.
constexpr auto report_delay = 30ms;
/// How often everything is compared without a cause.
constexpr auto look_interval = 10s;
/// Before a step that had no effect is tried again.
constexpr auto retry_pause = 1s;
constexpr std::size_t libvirt_threads = 4;
constexpr std::string_view domain_prefix = "karreg-";
}  // namespace

Agent::Agent(asio::io_context& io, Settings settings, Hypervisor& hypervisor, Uplink& uplink,
             Verdict verdict)
    : io_(io),
      pool_(libvirt_threads),
      uplink_(uplink),
      host_{std::move(settings), io.get_executor(), hypervisor, uplink, pool_,
            verdict.kvm,         artifacts_,        nullptr,    {}},
      store_(host_.settings, io.get_executor(), artifacts_),
      verdict_(std::move(verdict)),
      boot_id_(ids::uuid()),
      tasks_(io.get_executor()),
      converge_due_(io),
      report_due_(io) {
  host_.store = &store_;
  host_.changed = [this] { report_soon(); };
}

Result<void> Agent::start() {
  auto made = make_folders(host_.settings);
  if (!made) return made;
  if (auto text = read_whole(host_.settings.state_dir + "/desired.json")) {
    auto desired = wire::from_text<wire::HostDesired>(*text, "desired.json");
    if (desired)
      desired_ = std::move(*desired);
    else
      log::error("last desired state lost", {log::field("why", desired.error().message())});
  }
  tasks_.spawn("converge", converge_loop());
  tasks_.spawn("reports", report_loop());
  return ok();
}

void Agent::accept(wire::HostDesired desired) {
  if (desired_ && desired.generation < desired_->generation) return;
  auto saved = write_atomically(host_.settings.state_dir + "/desired.json", wire::to_text(desired));
  if (!saved) log::error("desired state not saved", {log::field("why", saved.error().message())});
  desired_ = std::move(desired);
  converge_soon();
  report_soon();
}

World Agent::own_world(const std::map<std::string, Books>& books) const {
  World world;
  for (const auto& [id, state] : books) world[id].books = state;
  for (const auto& [id, vm] : vms_) world[id].life = vm->life();
  return world;
}

std::vector<Step> Agent::look_at_own(bool& strangers) {
  const World world = own_world(read_books(host_.settings));
  strangers = std::ranges::any_of(
      world, [](const auto& entry) { return entry.second.life == Life::unknown; });
  if (strangers) return {};
  return converge(desired_ ? &*desired_ : nullptr, world);
}

awaitable<std::vector<Step>> Agent::look_everywhere() {
  auto list = [this] { return host_.hypervisor.running(); };
  auto running = co_await offload(pool_, list);
  if (!running) {
    // Without libvirt's word nothing can be said of what is not ours.
    log::error("libvirt does not list VMs", {log::field("why", running.error().message())});
    co_return std::vector<Step>();
  }
  // From here on nothing is awaited until the steps are applied: what is seen is what is.
  World world = own_world(read_books(host_.settings));
  for (const auto& domain : *running)
    if (domain.starts_with(domain_prefix)) world[domain.substr(domain_prefix.size())].domain = true;
  co_return converge(desired_ ? &*desired_ : nullptr, world);
}

std::set<std::string> Agent::needed() const {
  std::set<std::string> digests;
  const auto add = [&](const wire::VmSpec& spec) {
    digests.insert({spec.kernel_digest, spec.initrd_digest, spec.image_digest, spec.scratch_digest,
                    spec.artifact_digest});
  };
  for (const auto& [id, vm] : vms_) add(vm->spec());
  if (desired_)
    for (const auto& spec : desired_->vms) add(spec);
  return digests;
}

awaitable<void> Agent::tend_all() {
  auto list = [this] { return host_.hypervisor.halted(); };
  auto halted = co_await offload(pool_, list);
  if (!halted)
    log::warn("libvirt does not list halted VMs", {log::field("why", halted.error().message())});
  store_.sweep(needed());
  for (const auto& [id, vm] : vms_) {
    std::optional<bool> stands;
    if (halted) stands = std::ranges::find(*halted, Vm::domain_name(id)) != halted->end();
    vm->tend(stands);
  }
}

awaitable<void> Agent::converge_loop() {
  auto look_again = SteadyTime::min();
  std::vector<Step> last;
  while (!tasks_.stopping()) {
    converge_wanted_ = false;
    std::vector<Step> steps;
    bool strangers = false;
    const bool everything = std::chrono::steady_clock::now() >= look_again;
    if (!everything) steps = look_at_own(strangers);
    if (everything || strangers) {
      co_await tend_all();
      if (tasks_.stopping()) co_return;
      steps = co_await look_everywhere();
      if (tasks_.stopping()) co_return;
      look_again = std::chrono::steady_clock::now() + look_interval;
    }
    if (!steps.empty() && steps == last) {
      // Nothing came of them (libvirt refuses, a folder stays): without a pause they would fill
      // the log and a processor. News ends it.
      last.clear();
      if (converge_wanted_) continue;
      converge_due_.expires_after(retry_pause);
      co_await converge_due_.async_wait(as_result);
      continue;
    }
    last = steps;
    for (const auto& step : steps) {
      log::info(to_string(step.kind),
                {log::field("instance", step.instance_id), log::field("reason", step.reason)});
      if (step.kind == Step::Kind::destroy)
        co_await remove_domain(step.instance_id);
      else
        apply(step);
    }
    if (!steps.empty()) {
      report_soon();
      continue;
    }
    if (converge_wanted_) continue;
    converge_due_.expires_at(look_again);
    co_await converge_due_.async_wait(as_result);
  }
}

void Agent::apply(const Step& step) {
  const VmFiles files(host_.settings, step.instance_id);
  switch (step.kind) {
    case Step::Kind::create:
      for (const auto& spec : desired_->vms) {
        if (spec.instance_id != step.instance_id) continue;
        launch(std::make_shared<Vm>(host_, spec), Vm::Start::boot);
        break;
      }
      return;
    case Step::Kind::adopt:
    case Step::Kind::mourn:
    case Step::Kind::recall: {
      auto spec = read_spec(files);
      if (!spec) return;  // scraps, as the next look will say
      auto record = read_record(files);
      auto vm = std::make_shared<Vm>(host_, std::move(*spec), record ? *record : Record{});
      if (step.kind == Step::Kind::adopt) {
        launch(vm, Vm::Start::adopt);
        return;
      }
      if (step.kind == Step::Kind::mourn) vm->mourn();
      vms_[step.instance_id] = vm;
      return;
    }
    case Step::Kind::stop:
      vms_.at(step.instance_id)->stop();
      return;
    case Step::Kind::forget:
      vms_.erase(step.instance_id);
      [[fallthrough]];
    case Step::Kind::sweep:
      stop_passt(files);
      remove_all(files);
      return;
    case Step::Kind::destroy:
      return;  // takes time: remove_domain()
  }
}

awaitable<void> Agent::remove_domain(std::string instance_id) {
  auto end = [this, name = Vm::domain_name(instance_id)] { return host_.hypervisor.destroy(name); };
  auto done = co_await offload(pool_, end);
  if (!done)
    log::error("VM not ended",
               {log::field("instance", instance_id), log::field("why", done.error().message())});
  stop_passt(VmFiles(host_.settings, instance_id));
}

void Agent::launch(std::shared_ptr<Vm> vm, Vm::Start start) {
  vms_[vm->spec().instance_id] = vm;
  tasks_.spawn("VM " + vm->spec().instance_id, live(vm, start));
}

awaitable<void> Agent::live(std::shared_ptr<Vm> vm, Vm::Start start) {
  co_await vm->run(start);
  // One that was told to stop is done with; one that ended by itself stays in the report until it
  // is no longer desired. Whoever stopped it while it was ending meant the same.
  converge_soon();
  report_soon();
}

wire::HostReport Agent::report() const {
  wire::HostReport report;
  report.host_id = host_.settings.host_id;
  report.agent_boot = boot_id_;
  report.generation = desired_ ? desired_->generation : 0;
  report.address = "127.0.0.1";
  report.memory_mb = host_.settings.memory_mb;
  report.vcpus = host_.settings.vcpus;
  report.accelerator = verdict_.kvm ? "kvm" : "tcg";
  report.accelerator_detail = verdict_.detail;
  report.builds = host_.settings.shares_data_folder();
  for (const auto& [id, vm] : vms_) report.vms.push_back(vm->status());
  return report;
}

void Agent::report_soon() {
  report_wanted_ = true;
  report_due_.cancel();
}

void Agent::converge_soon() {
  converge_wanted_ = true;
  converge_due_.cancel();
}

void Agent::send_report() {
  report_wanted_ = false;
  report_under_way_ = true;
  // One at a time: while the broker is away, old news do not pile up.
  auto done = [this](const Result<void>&) {
    asio::post(io_, [this] {
      report_under_way_ = false;
      report_due_.cancel();
    });
  };
  auto taken = uplink_.report(report(), done);
  if (!taken) report_under_way_ = false;
}

awaitable<void> Agent::report_loop() {
  auto next = SteadyTime::min();
  while (!tasks_.stopping()) {
    const bool due = report_wanted_ || std::chrono::steady_clock::now() >= next;
    if (report_under_way_ || !due) {
      report_due_.expires_at(report_under_way_ ? SteadyTime::max() : next);
      co_await report_due_.async_wait(as_result);
      continue;
    }
    const bool slept = co_await sleep_for(report_delay);
    if (!slept || tasks_.stopping()) co_return;
    next = std::chrono::steady_clock::now() + report_interval;
    send_report();
  }
}

awaitable<void> Agent::stop() {
  for (auto& [id, vm] : vms_) vm->detach();
  converge_due_.cancel();
  report_due_.cancel();
  co_await store_.stop();
  co_await tasks_.stop(3000ms);
}

}  // namespace karreg::agent
