// karreg-init: PID 1 of every VM of Karreg. It lives alone in the initrd; the image of the runtime
// becomes its root.
#include <csignal>
#include <cstdio>
#include <exception>

#include "images/guest/build.hpp"
#include "images/guest/job.hpp"
#include "images/guest/run.hpp"
#include "images/guest/supervisor.hpp"
#include "images/guest/system.hpp"

namespace {

using namespace karreg::guest;

void live(Channel& channel) {
  Supervisor supervisor(channel);
  const auto given = supervisor.wait_for_config();
  if (!given) return;
  const auto& config = *given;
  try {
    supervisor.say("configuring");
    set_clock(config.time_ns);
    enter_root(config.kind);
    configure_network(config.network, config.hostname);
    if (config.kind == "build")
      supervisor.remember_and_send(run_build(supervisor, config));
    else if (config.kind == "job")
      supervisor.remember_and_send(run_job(supervisor, config));
    else
      supervisor.remember_and_send(run_app(supervisor, config));
  } catch (const std::exception& e) {
    const std::string reason = std::string("the VM could not be set up: ") + e.what();
    supervisor.log(reason);
    if (config.kind == "build")
      supervisor.remember_and_send(
          karreg::wire::guest::BuildResult{false, 0, "setting up", reason});
    else
      supervisor.remember_and_send(karreg::wire::guest::Exit{1, 0, false, reason});
  }
  supervisor.finish();
}

}  // namespace

int main() {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    mount_early();
    Channel channel;
    live(channel);
  } catch (const std::exception& e) {
    // Without a channel the console is all there is; the agent keeps its last lines.
    std::fprintf(stderr, "karreg-init: %s\n", e.what());
  }
  power_off();
}
