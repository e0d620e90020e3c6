// karreg-scheduler. Parses, wires, waits.
#include "common/async/run.hpp"
#include "common/db/migrate.hpp"
#include "common/program.hpp"
#include "scheduler/shell/scheduler.hpp"

int main(int argc, char** argv) {
  using namespace karreg;
  Program program("karreg-scheduler", "Decides what runs where and what serves.",
                  scheduler::declared_settings());
  return program.run(argc, argv, [](const Config& config) -> Result<void> {
    auto settings = scheduler::read_settings(config);
    if (!settings) return settings.error();
    block_signals();
    auto migrated = db::migrate(settings->database_url, std::chrono::seconds(60));
    if (!migrated) return migrated;
    auto vault = crypto::Vault::open_existing(settings->key_file);
    if (!vault) return vault.error();
    scheduler::Scheduler scheduler(*settings, *vault);
    auto started = scheduler.start();
    if (!started) return started;
    log::info("scheduler is up");
    wait_for_signal();
    scheduler.stop();
    return ok();
  });
}
