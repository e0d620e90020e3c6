#include "hypervisor-agent/agent.hpp"

#include <filesystem>

#include "common/broker/topology.hpp"
#include "common/ids.hpp"
#include "common/log.hpp"
#include "common/wire/json.hpp"
#include "hypervisor-agent/converge.hpp"
#include "hypervisor-agent/network.hpp"

namespace karreg::agent {

using namespace std::chrono_literals;

namespace {
constexpr auto report_interval = 2000ms;
/// Changes that come together travel together.
constexpr auto report_delay = 30ms;
}  // namespace

Agent::Agent(asio::io_context& io, Settings settings, Hypervisor& hypervisor, Verdict verdict)
    : io_(io),
      pool_(4),
      publisher_(settings.broker),
      host_{std::move(settings), io.get_executor(), hypervisor, publisher_, pool_, verdict.kvm, {}},
      verdict_(std::move(verdict)),
      boot_id_(ids::uuid()),
      tasks_(io.get_executor()),
      report_due_(io) {
  host_.changed = [this] {
    report_soon_ = true;
    report_due_.cancel();
  };
}

Result<void> Agent::start() {
  auto made = make_folder(host_.settings, host_.settings.state_dir + "/vms");
  if (!made) return made;
  if (auto text = read_whole(host_.settings.state_dir + "/desired.json")) {
    auto desired = wire::from_text<wire::HostDesired>(*text, "desired.json");
    if (desired) {
      desired_ = std::move(*desired);
      have_desired_ = true;
    }
  }
  adopt();
  converge_now();
  tasks_.spawn("reports", report_loop());
  auto handler = [this](const broker::Delivery& delivery) {
    auto desired = wire::from_text<wire::HostDesired>(delivery.body, "HostDesired");
    if (!desired || desired->host_id != host_.settings.host_id) {
      log::error("unusable desired state",
                 {log::field("why", desired ? "it is for host " + desired->host_id
                                            : desired.error().message())});
      return broker::Disposition::reject;
    }
    asio::post(io_, [this, state = std::move(*desired)]() mutable { accept(std::move(state)); });
    return broker::Disposition::ack;
  };
  auto connected = [this] { asio::post(io_, [this] { host_.changed(); }); };
  consumer_ = std::make_unique<broker::Consumer>(
      host_.settings.broker, broker::host_queue(host_.settings.host_id), handler, connected);
  return ok();
}

void Agent::adopt() {
  auto running = host_.hypervisor.running();
  std::set<std::string> domains;
  if (running) domains.insert(running->begin(), running->end());
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator(host_.settings.state_dir + "/vms", ignored)) {
    const std::string id = entry.path().filename();
    const std::string domain = Vm::domain_name(id);
    auto text = read_whole(entry.path() / "spec.json");
    auto spec = text ? wire::from_text<wire::VmSpec>(*text, "spec.json")
                     : Result<wire::VmSpec>(text.error());
    if (spec && domains.erase(domain) > 0) {
      launch(std::move(*spec), true);
      continue;
    }
    // Died while nobody watched, or never came up: what it left goes; the scheduler learns by its
    // absence.
    log::info("removing what a VM left", {log::field("instance", id)});
    stop_passt(VmFiles(host_.settings, id));
    std::filesystem::remove_all(entry.path(), ignored);
  }
  for (const auto& domain : domains) {
    if (!domain.starts_with("karreg-")) continue;
    log::warn("ending a VM that nobody knows", {log::field("domain", domain)});
    (void)host_.hypervisor.destroy(domain);
  }
}

void Agent::accept(wire::HostDesired desired) {
  if (have_desired_ && desired.generation < desired_.generation) return;
  auto saved = write_atomically(host_.settings.state_dir + "/desired.json", wire::to_text(desired));
  if (!saved) log::error("desired state not saved", {log::field("why", saved.error().message())});
  desired_ = std::move(desired);
  have_desired_ = true;
  converge_now();
  host_.changed();
}

void Agent::converge_now() {
  if (!have_desired_) return;
  std::map<std::string, bool> existing;
  for (const auto& [id, vm] : vms_) existing[id] = vm->stopping();
  for (const auto& step : converge(desired_, existing)) {
    log::info(step.kind == Step::Kind::create ? "creating VM" : "stopping VM",
              {log::field("instance", step.instance_id), log::field("reason", step.reason)});
    if (step.kind == Step::Kind::stop) {
      auto vm = vms_.at(step.instance_id);
      vm->stop();
      const auto& phase = vm->status().phase;
      if (phase == "exited" || phase == "failed" || phase == "built") vms_.erase(step.instance_id);
      continue;
    }
    for (const auto& spec : desired_.vms)
      if (spec.instance_id == step.instance_id) launch(spec, false);
  }
}

void Agent::launch(wire::VmSpec spec, bool adopted) {
  auto vm = std::make_shared<Vm>(host_, std::move(spec));
  vms_[vm->spec().instance_id] = vm;
  tasks_.spawn("VM " + vm->spec().instance_id, live(vm, adopted));
}

awaitable<void> Agent::live(std::shared_ptr<Vm> vm, bool adopted) {
  co_await vm->run(adopted);
  // One that ended by itself stays in the report until it is no longer desired.
  if (vm->stopping()) vms_.erase(vm->spec().instance_id);
  host_.changed();
}

void Agent::report() {
  wire::HostReport report;
  report.host_id = host_.settings.host_id;
  report.agent_boot = boot_id_;
  report.generation = have_desired_ ? desired_.generation : 0;
  report.address = "127.0.0.1";
  report.memory_mb = host_.settings.memory_mb;
  report.vcpus = host_.settings.vcpus;
  report.accelerator = verdict_.kvm ? "kvm" : "tcg";
  report.accelerator_detail = verdict_.detail;
  for (const auto& [id, vm] : vms_) report.vms.push_back(vm->status());
  auto queued = publisher_.publish(broker::key::scheduler_host, wire::to_text(report));
  if (!queued) log::warn("report not queued", {log::field("why", queued.error().message())});
}

awaitable<void> Agent::report_loop() {
  while (!tasks_.stopping()) {
    if (!report_soon_) {
      report_due_.expires_after(report_interval);
      co_await report_due_.async_wait(as_result);
    }
    if (report_soon_) {
      const bool slept = co_await sleep_for(report_delay);
      if (!slept) co_return;
    }
    if (tasks_.stopping()) co_return;
    report_soon_ = false;
    report();
  }
}

awaitable<void> Agent::stop() {
  consumer_.reset();
  for (auto& [id, vm] : vms_) vm->detach();
  co_await tasks_.stop(3000ms);
  publisher_.stop(2000ms);
}

}  // namespace karreg::agent
