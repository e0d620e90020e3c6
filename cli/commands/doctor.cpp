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

/// What the platform says about its hosts; nothing on platforms that do not tell.
std::vector<Check> hosts(const Api& api) {
  std::vector<Check> checks;
  const auto answer = api.get("/v1/hosts");
  if (!answer || !answer->is_array()) return checks;
  for (const Json& host : *answer)
    if (host.is_object())
      checks.push_back({"host " + host.value("id", "?"),
                        "accelerator " + host.value("accelerator", "not known") + ": " +
                            host.value("accelerator_detail", "not measured")});
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
