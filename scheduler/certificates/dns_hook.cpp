#include "scheduler/certificates/dns_hook.hpp"

#include <algorithm>

#include "common/crypto/digest.hpp"

namespace karreg::scheduler::certificates {

DnsRecord record_for(const wire::AcmeChallenge& challenge) {
  const auto digest = crypto::from_hex(crypto::sha256_hex(challenge.key_authorization));
  auto value = crypto::base64_encode(*digest);
  // base64url without padding (RFC 4648 §5).
  std::ranges::replace(value, '+', '-');
  std::ranges::replace(value, '/', '_');
  std::erase(value, '=');
  return {"_acme-challenge." + challenge.host, value};
}

Result<void> run_dns_hook(Child& child, const std::string& hook, const std::string& action,
                          const DnsRecord& record, std::chrono::milliseconds patience) {
  const auto nothing_to_say = [](const std::string&) { return std::optional<std::string>(""); };
  const Child::Program program{{hook, action, record.name, record.value}, {}, patience};
  const auto ended = child.run(program, "", nothing_to_say);
  const std::string what = "the platform's DNS hook (" + hook + " " + action + ")";
  if (!ended) return ended.error().within(what);
  if (ended->exit_code == 0) return ok();
  auto said = ended->error_output;
  while (said.ends_with('\n')) said.pop_back();
  return Error(ErrorKind::unavailable, what + " failed with exit code " +
                                           std::to_string(ended->exit_code) +
                                           (said.empty() ? "" : ": " + said));
}

}  // namespace karreg::scheduler::certificates
