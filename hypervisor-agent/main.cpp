// karreg-agent: one per host. Parses, wires, waits.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "common/async/run.hpp"
#include "common/log.hpp"
#include "common/program.hpp"
#include "common/wire/json.hpp"
#include "hypervisor-agent/agent.hpp"
#include "hypervisor-agent/purge.hpp"

namespace {

using namespace karreg;

Result<wire::Catalogue> read_catalogue(const agent::Settings& settings) {
  auto text = agent::read_whole(settings.images_dir + "/catalogue.json");
  if (!text)
    return Error(ErrorKind::not_found, "there is no image catalogue in " + settings.images_dir +
                                           " (setting agent.images_dir); images/build makes it");
  return wire::from_text<wire::Catalogue>(*text, "catalogue.json");
}

Result<agent::Verdict> probe(asio::io_context& io, const agent::Settings& settings) {
  auto catalogue = read_catalogue(settings);
  if (!catalogue) return catalogue.error();
  auto made = agent::make_folder(settings, settings.state_dir);
  if (!made) return made.error();
  Result<agent::Verdict> verdict = Error(ErrorKind::internal, "the probe did not run");
  asio::co_spawn(io, agent::choose_accelerator(settings, *catalogue),
                 [&](std::exception_ptr failure, Result<agent::Verdict> result) {
                   if (!failure) verdict = std::move(result);
                 });
  io.run();
  io.restart();
  return verdict;
}

Result<void> serve(const agent::Settings& settings) {
  asio::io_context io(1);
  auto verdict = probe(io, settings);
  if (!verdict) return verdict.error();
  log::info("accelerator",
            {log::field("kvm", verdict->kvm), log::field("detail", verdict->detail)});
  auto hypervisor = agent::Hypervisor::connect(settings.libvirt_uri, settings.qemu_user);
  if (!hypervisor) return hypervisor.error();
  agent::Agent agent(io, settings, **hypervisor, *verdict);
  auto started = agent.start();
  if (!started) return started;
  log::info("agent is up", {log::field("host", settings.host_id)});
  run_until_signal(io, [&agent]() -> awaitable<void> { return agent.stop(); });
  return ok();
}

}  // namespace

int main(int argc, char** argv) {
  Program program("karreg-agent", "Runs the VMs of one host.", agent::declared_settings());
  auto& probe_command =
      *program.cli().add_subcommand("probe", "Measure accelerators and print the verdict as JSON");
  auto& purge_command =
      *program.cli().add_subcommand("purge", "End all VMs of this agent (which must not run)");
  return program.run(argc, argv, [&](const Config& config) -> Result<void> {
    auto settings = agent::read_settings(config);
    if (!settings) return settings.error();
    if (purge_command.parsed()) {
      auto hypervisor = agent::Hypervisor::connect(settings->libvirt_uri, settings->qemu_user);
      if (!hypervisor) return hypervisor.error();
      auto ended = agent::purge(*settings, **hypervisor);
      if (!ended) return ended.error();
      std::printf("%d VMs ended\n", *ended);
      return ok();
    }
    if (probe_command.parsed()) {
      asio::io_context io(1);
      auto verdict = probe(io, *settings);
      if (!verdict) return verdict.error();
      nlohmann::json answer = {{"accelerator", verdict->kvm ? "kvm" : "tcg"},
                               {"detail", verdict->detail}};
      std::printf("%s\n", answer.dump().c_str());
      return ok();
    }
    return serve(*settings);
  });
}
