#include "cli/child.hpp"
#include "cli/commands/commands.hpp"

namespace karreg::cli {
namespace {

/// One thing that must be right, and what was found.
struct Check {
  std::string name;
  Result<std::string> found;
};

Result<std::string> git_version(const Session& session) {
  ChildOptions options;
  options.argv = {"git", "--version"};
  options.environment = session.environment();
  options.capture_output = true;
  auto end = run_child(options);
  if (!end) return end.error();
  return end->output.substr(0, end->output.find('\n'));
}

Result<std::string> platform(const Profile& profile) {
  if (profile.api_host.empty())
    return Error(ErrorKind::unauthorized, "none is known: run `karreg login --api-host URL`.");
  return profile.api_host;
}

Result<std::string> login(const Api& api) {
  auto self = api.get("/v2/self");
  if (!self) return self.error();
  return self->value("email", "") + " (" + self->value("id", "") + ")";
}

/// The scheduler takes a host for lost after this silence, unless its operator chose another.
constexpr std::int64_t longest_silence_ms = 30'000;

Result<std::string> state_of(const Host& host) {
  if (host.silent_ms > longest_silence_ms)
    return Error(ErrorKind::unavailable, "not heard of for " +
                                             std::to_string(host.silent_ms / 1000) +
                                             " s. Is karreg-agent running there?");
  if (host.accelerator.empty())
    return Error(ErrorKind::unavailable, "it has not told which accelerator its VMs use.");
  return "accelerator " + host.accelerator + " (" + host.accelerator_detail + "), " +
         std::to_string(host.memory_mb) + " MB, " + std::to_string(host.vcpus) + " processors";
}

std::vector<Check> hosts(const Api& api) {
  auto answer = api.get("/v1/hosts");
  if (!answer) return {{"hosts", answer.error()}};
  auto all = parse_hosts(*answer);
  if (!all) return {{"hosts", all.error()}};
  if (all->empty())
    return {{"hosts", Error(ErrorKind::unavailable,
                            "none has reported yet, so nothing can be deployed. Start karreg-agent "
                            "on one.")}};
  std::vector<Check> checks;
  for (const Host& host : *all) checks.push_back({"host " + host.id, state_of(host)});
  return checks;
}

std::vector<Check> all_checks(Session& session) {
  std::vector<Check> checks = {{"git", git_version(session)}};
  auto profile = load_profile(session.environment());
  if (!profile) {
    checks.push_back({"profile", profile.error()});
    return checks;
  }
  checks.push_back({"platform", platform(*profile)});
  if (!checks.back().found) return checks;
  const Api api(*profile);
  checks.push_back({"login", login(api)});
  if (checks.back().found)
    for (Check& each : hosts(api)) checks.push_back(std::move(each));
  return checks;
}

Result<int> doctor(Session& session) {
  int code = 0;
  Json all = Json::array();
  Terminal& terminal = session.terminal();
  for (const Check& each : all_checks(session)) {
    const bool good = each.found.has_value();
    const std::string& detail = good ? *each.found : each.found.error().message();
    if (!good && code == 0) code = exit_code(each.found.error().kind());
    all.push_back({{"check", each.name}, {"good", good}, {"detail", detail}});
    if (!session.json())
      terminal.print(
          (good ? terminal.styled("good", Style::green) : terminal.styled("BAD ", Style::red)) +
          "  " + each.name + ": " + detail);
  }
  session.print_json(all);
  return code;
}

}  // namespace

void add_doctor(CLI::App& app, Session& session) {
  CLI::App* command =
      app.add_subcommand("doctor", "Check this machine, the login and the platform");
  add_format_option(*command, session);
  command->callback([&session] { session.action = [&session] { return doctor(session); }; });
}

}  // namespace karreg::cli
