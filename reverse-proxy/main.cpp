// karreg-proxy. Parses, wires, waits.
#include <iostream>

#include "common/program.hpp"
#include "reverse-proxy/ctl/client.hpp"
#include "reverse-proxy/ctl/server.hpp"
#include "reverse-proxy/daemon.hpp"
#include "reverse-proxy/master/master.hpp"
#include "reverse-proxy/threads.hpp"

namespace {

using namespace karreg;

/// What the operator asks a proxy that runs with the same settings.
struct Ctl {
  CLI::App* all = nullptr;
  CLI::App* routes = nullptr;
  CLI::App* use = nullptr;
  CLI::App* traffic = nullptr;
  std::string host;
  std::string file;

  explicit Ctl(CLI::App& program) {
    all = program.add_subcommand("ctl", "Ask a running proxy; prints JSON");
    all->require_subcommand(1);
    all->add_subcommand("status", "Its process, and the routes that each worker uses");
    routes = all->add_subcommand("routes", "The routes in use");
    routes->add_option("HOST", host, "of this host alone");
    traffic = all->add_subcommand("traffic", "Requests, answers, times and bytes since its start");
    use = all->add_subcommand(
        "use", "Replace the routes by those of a file, until a scheduler says otherwise");
    use->add_option("FILE", file, "{\"routes\": [...]}; - for standard input")->required();
  }

  Result<nlohmann::json> question() const {
    if (*routes) return nlohmann::json{{"do", "routes"}, {"host", host}};
    if (*traffic) return nlohmann::json{{"do", "traffic"}};
    if (*use) return proxy::question_to_use(file);
    return nlohmann::json{{"do", "status"}};
  }

  Result<void> run(const std::filesystem::path& socket) const {
    const auto asked = question();
    if (!asked) return asked.error();
    const auto answer = proxy::ask(socket, *asked);
    if (!answer) return answer.error();
    std::cout << answer->dump(2) << std::endl;
    return ok();
  }
};

struct Top {
  CLI::App* command = nullptr;
  proxy::TopOptions options;

  explicit Top(CLI::App& program) {
    command = program.add_subcommand("top", "Watch the busiest applications of a running proxy");
    command->add_option("--every", options.every, "seconds between two pictures")
        ->check(CLI::Range(0.1, 3600.0));
    command->add_option("--rows", options.rows, "applications shown")->check(CLI::Range(1, 10'000));
    command->add_flag("--once", options.once, "one picture, then the end");
  }
};

}  // namespace

int main(int argc, char** argv) {
  // The master starts the serving process as /proc/self/exe, which would be its name.
  proxy::name_this_thread("karreg-proxy");
  Program program("karreg-proxy", "Carries visitors' requests to the instances that serve.",
                  proxy::declared_settings());
  auto& cli = program.cli();
  const auto& check =
      *cli.add_subcommand("check", "Say whether the settings can be read; the exit code is 0 then");
  const Ctl ctl(cli);
  const Top top(cli);
  // By the master, for the process that serves.
  auto& serve = *cli.add_subcommand("serve", "")->group("");
  std::string inherited;
  serve.add_option("--inherited", inherited);
  int code = 0;
  const int failed = program.run(argc, argv, [&](const Config& config) -> Result<void> {
    auto settings = proxy::read_settings(config);
    if (!settings) return settings.error();
    if (check) return ok();
    const auto socket = proxy::ctl_socket(settings->saved_routes);
    if (*ctl.all) return ctl.run(socket);
    if (*top.command) return proxy::run_top(socket, top.options);
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
