#include "cli/git.hpp"

#include <filesystem>
#include <optional>

#include "cli/child.hpp"

namespace karreg::cli {
namespace {

constexpr const char* askpass_user = "KARREG_ASKPASS_USER";
constexpr const char* askpass_password = "KARREG_ASKPASS_PASSWORD";

}  // namespace

Result<std::string> commit_of(const std::string& folder, const std::string& revision,
                              const Environment& environment) {
  ChildOptions options;
  options.argv = {"git", "-C", folder, "rev-parse", "--quiet", "--verify", revision + "^{commit}"};
  options.environment = environment;
  options.capture_output = true;
  options.quiet = true;
  auto end = run_child(options);
  if (!end) return end.error();
  std::string id = end->output;
  while (id.ends_with('\n')) id.pop_back();
  if (end->exit_code == 0 && !id.empty()) return id;
  options.argv = {"git", "-C", folder, "rev-parse", "--git-dir"};
  if (auto inside = run_child(options); inside && inside->exit_code != 0)
    return Error(ErrorKind::not_found,
                 "This folder is no git repository. Run `git init`, then commit your app.");
  return Error(ErrorKind::not_found,
               revision == "HEAD" ? "There is no commit yet. Run `git add` and `git commit` first."
                                  : "git knows no branch or commit `" + revision + "` here.");
}

PushEnd read_push(const std::string& porcelain, int exit_code) {
  PushEnd end;
  end.exit_code = exit_code;
  std::size_t from = 0;
  while (from < porcelain.size()) {
    const auto line_end = porcelain.find('\n', from);
    const std::string line = porcelain.substr(from, line_end - from);
    from = line_end == std::string::npos ? porcelain.size() : line_end + 1;
    // "<flag>\t<from>:<to>\t<summary> (<reason>)"
    if (line.size() < 2 || line[1] != '\t') continue;
    const auto summary_at = line.find('\t', 2);
    const std::string summary = summary_at == std::string::npos ? "" : line.substr(summary_at + 1);
    if (line[0] == '!') {
      end.result = PushEnd::Result::rejected;
      const auto open = summary.find(" (");
      end.reason =
          open == std::string::npos ? summary : summary.substr(open + 2, summary.size() - open - 3);
    } else if (line[0] == '=') {
      end.result = PushEnd::Result::up_to_date;
    } else {
      end.result = PushEnd::Result::pushed;
    }
  }
  if (exit_code != 0 && end.result != PushEnd::Result::rejected)
    end.result = PushEnd::Result::failed;
  return end;
}

void add_login(Environment& environment, const Profile& profile) {
  environment["GIT_ASKPASS"] = std::filesystem::read_symlink("/proc/self/exe").string();
  environment["GIT_TERMINAL_PROMPT"] = "0";
  environment[askpass_user] = profile.secret.empty() ? "token" : profile.token;
  environment[askpass_password] = profile.secret.empty() ? profile.token : profile.secret;
}

Result<PushEnd> push(const Push& push, const Profile& profile, const Environment& environment) {
  ChildOptions options;
  // No stored password may stand in for the login, and no helper may store it.
  options.argv = {"git", "-C", push.folder, "-c", "credential.helper=", "push", "--porcelain"};
  if (push.force) options.argv.emplace_back("--force");
  options.argv.push_back(push.url);
  options.argv.push_back(push.commit + ":refs/heads/" + push.branch);
  options.environment = environment;
  add_login(options.environment, profile);
  options.capture_output = true;
  options.on_tick = push.on_tick;
  auto end = run_child(options);
  if (!end) return end.error();
  PushEnd pushed = read_push(end->output, end->exit_code);
  if (end->ended_by_us) pushed.result = PushEnd::Result::detached;
  return pushed;
}

std::optional<std::string> askpass_answer(const Environment& environment,
                                          const std::string& question) {
  if (variable(environment, askpass_password).empty()) return std::nullopt;
  return variable(environment, question.starts_with("Username") ? askpass_user : askpass_password);
}

}  // namespace karreg::cli
