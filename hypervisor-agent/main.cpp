// karreg-agent: one per host. Parses, wires, waits.
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>

#include "common/async/run.hpp"
#include "common/log.hpp"
#include "common/program.hpp"
#include "common/wire/json.hpp"
#include "hypervisor-agent/agent.hpp"
#include "hypervisor-agent/broker_link.hpp"
#include "hypervisor-agent/file_link.hpp"
#include "hypervisor-agent/kvm_device.hpp"
#include "hypervisor-agent/kvm_loop.hpp"
#include "hypervisor-agent/probe.hpp"
#include "hypervisor-agent/purge.hpp"
#include "hypervisor-agent/reaper.hpp"
#include "hypervisor-agent/transfer.hpp"

namespace {

using namespace karreg;
using namespace std::chrono_literals;

constexpr const char* this_program = "/proc/self/exe";

Result<wire::Catalogue> read_catalogue(const agent::Settings& settings) {
  auto text = agent::catalogue_for_probe(settings);
  if (!text) return text.error();
  return wire::from_text<wire::Catalogue>(*text, "catalogue.json");
}

/// Runs @p task on @p io to its end.
template <class T>
Result<T> finish(asio::io_context& io, awaitable<Result<T>> task) {
  Result<T> result = Error(ErrorKind::internal, "the task did not run");
  asio::co_spawn(io, std::move(task), [&](const std::exception_ptr& failure, Result<T> value) {
    if (failure)
      std::rethrow_exception(failure);
    else
      result = std::move(value);
  });
  io.run();
  io.restart();
  return result;
}

Result<agent::Verdict> choose(asio::io_context& io, const agent::Settings& settings) {
  auto catalogue = read_catalogue(settings);
  if (!catalogue) return catalogue.error();
  auto verdict = finish(io, agent::choose_accelerator(settings, *catalogue, this_program));
  if (verdict)
    log::info("accelerator", {log::field("kvm", verdict->kvm), log::field("why", verdict->detail)});
  return verdict;
}

/// libvirt, with what it needs around it in order.
Result<std::unique_ptr<agent::Hypervisor>> connect(const agent::Settings& settings, bool kvm) {
  auto made = agent::make_libvirt_root(settings);
  if (!made) return made.error();
  if (settings.embeds_libvirt()) {
    auto settled = agent::settle_kvm_device(settings, kvm);
    if (!settled)
      log::warn("/dev/kvm stays as it is; starting VMs may take long",
                {log::field("why", settled.error().message())});
    agent::start_reaper();
  }
  return agent::Hypervisor::connect(settings.libvirt_uri, settings.qemu_user);
}

struct Host {
  agent::Verdict verdict;
  std::unique_ptr<agent::Hypervisor> hypervisor;
};

/// All that must be there before the first VM.
Result<Host> get_ready(asio::io_context& io, const agent::Settings& settings) {
  auto made = agent::make_folders(settings);
  if (!made) return made.error();
  auto verdict = choose(io, settings);
  if (!verdict) return verdict.error();
  auto hypervisor = connect(settings, verdict->kvm);
  if (!hypervisor) return hypervisor.error();
  (*hypervisor)->warm_up(verdict->kvm);
  return Host{std::move(*verdict), std::move(*hypervisor)};
}

Result<void> serve(const agent::Settings& settings) {
  asio::io_context io(1);
  auto host = get_ready(io, settings);
  if (!host) return host.error();
  agent::BrokerLink link(settings.broker);
  agent::Agent agent(io, settings, *host->hypervisor, link, host->verdict);
  auto started = agent.start();
  if (!started) return started;
  link.listen(
      settings.host_id,
      [&](wire::HostDesired desired) {
        asio::post(
            io, [&agent, state = std::move(desired)]() mutable { agent.accept(std::move(state)); });
      },
      [&] { asio::post(io, [&agent] { agent.report_soon(); }); });
  log::info("agent is up", {log::field("host", settings.host_id)});
  // NOLINTNEXTLINE(cppcoreguidelines-avoid-capturing-lambda-coroutines): kept until it is done
  run_until_signal(io, [&]() -> awaitable<void> {
    link.stop_listening();
    co_await agent.stop();
    link.stop(2000ms);
  });
  link.stop(0ms);
  return ok();
}

/// Re-reads the file at each SIGHUP.
void follow_file(asio::signal_set& hangups, agent::Agent& agent, const std::string& file) {
  hangups.async_wait([&hangups, &agent, &file](const error_code& ec, int) {
    if (ec) return;
    auto desired = agent::read_desired(file);
    if (desired)
      agent.accept(std::move(*desired));
    else
      log::error("desired state not read", {log::field("why", desired.error().message())});
    follow_file(hangups, agent, file);
  });
}

Result<void> serve_file(const agent::Settings& settings, const std::string& file) {
  auto desired = agent::read_desired(file);
  if (!desired) return desired.error();
  asio::io_context io(1);
  auto host = get_ready(io, settings);
  if (!host) return host.error();
  agent::FileLink link;
  agent::Agent agent(io, settings, *host->hypervisor, link, host->verdict);
  auto started = agent.start();
  if (!started) return started;
  agent.accept(std::move(*desired));
  asio::signal_set hangups(io, SIGHUP);
  follow_file(hangups, agent, file);
  run_until_signal(io, [&]() -> awaitable<void> {
    hangups.cancel();
    return agent.stop();
  });
  return ok();
}

Result<void> print_probe(const agent::Settings& settings) {
  asio::io_context io(1);
  auto made = agent::make_folders(settings);
  if (!made) return made;
  auto catalogue = read_catalogue(settings);
  if (!catalogue) return catalogue.error();
  auto measured = finish(io, agent::measure_accelerators(settings, *catalogue, this_program));
  if (!measured) return measured.error();
  const auto verdict = agent::decide_accelerator(*measured);
  const nlohmann::json answer = {{"accelerator", !verdict       ? "none"
                                                 : verdict->kvm ? "kvm"
                                                                : "tcg"},
                                 {"detail", verdict ? verdict->detail : "no VM boots"},
                                 {"measured", *measured}};
  std::printf("%s\n", answer.dump().c_str());
  return ok();
}

Result<void> purge(const agent::Settings& settings) {
  auto hypervisor = connect(settings, agent::remembered_verdict(settings));
  if (!hypervisor) return hypervisor.error();
  auto ended = agent::purge(settings, **hypervisor);
  if (!ended) return ended.error();
  std::printf("%d VMs ended\n", *ended);
  return ok();
}

int print_kvm_loop() {
  auto loop = agent::kvm_loop();
  if (!loop) {
    std::printf("%s\n", loop.error().message().c_str());
    return exit_code(loop.error().kind());
  }
  std::printf("%lld\n", static_cast<long long>(*loop));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  // Before anything else: it needs no settings, and runs in a child process that may be killed.
  if (argc == 2 && std::string_view(argv[1]) == "kvm-loop") return print_kvm_loop();
  Program program("karreg-agent", "Runs the VMs of one host.", agent::declared_settings());
  auto& cli = program.cli();
  auto& probe_command =
      *cli.add_subcommand("probe", "Measure accelerators afresh and print the verdict as JSON");
  auto& purge_command =
      *cli.add_subcommand("purge", "End all VMs of this agent (which must not run)");
  auto& run_command = *cli.add_subcommand(
      "run", "Converge on a file instead of the broker's news; SIGHUP reads it again");
  std::string file;
  run_command.add_option("--desired", file, "A HostDesired as JSON")->required();
  return program.run(argc, argv, [&](const Config& config) -> Result<void> {
    auto settings = agent::read_settings(config);
    if (!settings) return settings.error();
    if (purge_command.parsed()) return purge(*settings);
    if (probe_command.parsed()) return print_probe(*settings);
    if (run_command.parsed()) return serve_file(*settings, file);
    return serve(*settings);
  });
}
