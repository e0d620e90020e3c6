// karreg-proxy. Parses, wires, waits.
#include "common/program.hpp"
#include "reverse-proxy/daemon.hpp"

int main(int argc, char** argv) {
  using namespace karreg;
  Program program("karreg-proxy", "Carries visitors' requests to the instances that serve.",
                  proxy::declared_settings());
  return program.run(argc, argv, [](const Config& config) -> Result<void> {
    auto settings = proxy::read_settings(config);
    if (!settings) return settings.error();
    return proxy::run_daemon(*settings);
  });
}
