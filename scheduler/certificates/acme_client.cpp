#include "scheduler/certificates/acme_client.hpp"

#include "common/json.hpp"
#include "common/wire/json.hpp"

namespace karreg::scheduler::certificates {

/// acme_order.py.
extern const char* const acme_order_script;

namespace {

using nlohmann::json;

/// Debian's own: another one in PATH may lack the library.
constexpr const char* python = "/usr/bin/python3";

/// One line of the child; exactly one of these is there.
struct Said {
  std::vector<wire::AcmeChallenge> challenges;
  std::string chain;
  std::string error;
  friend void from_json(const json& from, Said& into) {
    into.challenges = from.value("challenges", std::vector<wire::AcmeChallenge>());
    into.chain = from.value("chain", "");
    into.error = from.value("error", "");
  }
};

std::string first_line(const AcmeServer& server, const AcmeOrder& order) {
  // The child gives up by itself, with the reason, before it is killed.
  const auto seconds = std::chrono::floor<std::chrono::seconds>(server.patience).count() * 2 / 3;
  const json said = {{"directory", server.directory},
                     {"ca_file", server.ca_file},
                     {"email", server.email},
                     {"eab_key_id", server.eab_key_id},
                     {"eab_hmac_key", server.eab_hmac_key},
                     {"account_key", order.account_key},
                     {"csr", order.request},
                     {"challenge", order.challenge},
                     {"seconds", seconds}};
  return said.dump() + "\n";
}

/// What a child says that ends before it said what became of the order.
Error broken(const Child::Ended& ended) {
  auto text = ended.error_output;
  while (text.ends_with('\n')) text.pop_back();
  // Of a Python stack the last line.
  const auto last = text.substr(text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1);
  return {ErrorKind::unavailable,
          "the ACME client ended with exit code " + std::to_string(ended.exit_code) + ": " + last +
              (text.find("No module named") != std::string::npos
                   ? " (install Debian's package python3-acme on the scheduler's machine)"
                   : "")};
}

}  // namespace

Result<std::string> obtain(
    Child& child, const AcmeServer& server, const AcmeOrder& order,
    const std::function<Result<void>(const std::vector<wire::AcmeChallenge>&)>& prepare) {
  std::optional<Said> result;
  const auto answer = [&](const std::string& line) -> std::optional<std::string> {
    auto said = wire::from_text<Said>(line, "what the ACME client says");
    if (!said || !said->chain.empty() || !said->error.empty()) {
      result = said ? *said : Said{{}, {}, said.error().message()};
      return std::nullopt;
    }
    for (auto& challenge : said->challenges) challenge.kind = order.challenge;
    const auto ready = said->challenges.empty() ? ok() : prepare(said->challenges);
    const json told = ready ? json{{"ready", true}} : json{{"failed", ready.error().message()}};
    return told.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  };
  // -I: nothing of the environment or the folder it stands in decides which library this is.
  const Child::Program program{
      {python, "-I", "-W", "ignore", "-c", acme_order_script}, {}, server.patience};
  const auto ended = child.run(program, first_line(server, order), answer);
  if (!ended) return ended.error().within("the ACME client");
  if (!result) return broken(*ended);
  if (!result->error.empty()) return Error(ErrorKind::unavailable, result->error);
  return result->chain;
}

}  // namespace karreg::scheduler::certificates
