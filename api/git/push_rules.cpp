#include "api/git/push_rules.hpp"

namespace karreg::api::git {

namespace {

const std::string zero_id(40, '0');

Verdict verdict_on(const RefCommand& command, const std::optional<std::string>& deploying_branch) {
  if (command.new_id == zero_id) return {Verdict::Kind::refuse, "branches cannot be deleted"};
  const std::string branch = branch_of(command.ref);
  const bool deploys =
      deploying_branch ? branch == *deploying_branch : branch == "master" || branch == "main";
  if (deploys) return {Verdict::Kind::deploy, {}};
  return {Verdict::Kind::store, "Branch " + branch + " is stored but not deployed: only " +
                                    deploying_branch.value_or("master or main") +
                                    " deploys. To deploy this one: git push <remote> " + branch +
                                    ":" + deploying_branch.value_or("master")};
}

}  // namespace

std::string branch_of(const std::string& ref) {
  static const std::string prefix = "refs/heads/";
  return ref.starts_with(prefix) ? ref.substr(prefix.size()) : std::string();
}

std::vector<Verdict> judge(const std::vector<RefCommand>& commands,
                           const std::optional<std::string>& deploying_branch) {
  std::vector<Verdict> verdicts;
  std::string deploying;
  int count = 0;
  for (const auto& command : commands) {
    verdicts.push_back(verdict_on(command, deploying_branch));
    if (verdicts.back().kind != Verdict::Kind::deploy) continue;
    deploying += (count++ > 0 ? " and " : "") + branch_of(command.ref);
  }
  if (count < 2) return verdicts;
  for (auto& verdict : verdicts)
    if (verdict.kind == Verdict::Kind::deploy)
      verdict = {Verdict::Kind::refuse, deploying + " both deploy: push one of them at a time"};
  return verdicts;
}

std::string reason_line(const std::string& text) {
  std::string line = text.substr(0, text.find('\n'));
  if (line.size() > 500) {
    // Not in the middle of a letter (UTF-8).
    std::size_t end = 500;
    while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0U) == 0x80) --end;
    line.resize(end);
  }
  for (char& c : line)
    if ((c >= 0 && c < 0x20) || c == 0x7f) c = ' ';
  return line;
}

}  // namespace karreg::api::git
