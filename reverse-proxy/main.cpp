// karreg-proxy. Parses, wires, waits.
#include "common/program.hpp"
#include "reverse-proxy/daemon.hpp"
#include "reverse-proxy/master/master.hpp"

int main(int argc, char** argv) {
  using namespace karreg;
  Program program("karreg-proxy", "Carries visitors' requests to the instances that serve.",
                  proxy::declared_settings());
  const auto& check = *program.cli().add_subcommand(
      "check", "Say whether the settings can be served by; the exit code is 0 then");
  // By the master, for the process that serves.
  auto& serve = *program.cli().add_subcommand("serve", "")->group("");
  std::string inherited;
  serve.add_option("--inherited", inherited);
  int code = 0;
  const int failed = program.run(argc, argv, [&](const Config& config) -> Result<void> {
    auto settings = proxy::read_settings(config);
    if (!settings) return settings.error();
    if (check) return ok();
    if (serve) {
      const auto inheritance = proxy::read_inheritance(inherited);
      if (!inheritance) return inheritance.error();
      return proxy::run_daemon(*settings, *inheritance);
    }
    const auto ended = proxy::run_master(*settings, {argv, argv + argc});
    if (!ended) return ended.error();
    code = *ended;
    return ok();
  });
  return failed != 0 ? failed : code;
}
