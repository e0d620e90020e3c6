#pragma once
/// DNS-01 (RFC 8555 §8.4): the operator's program writes the records.

#include "common/async/child.hpp"
#include "common/wire/certificates.hpp"

namespace karreg::scheduler::certificates {

/// The record that answers @p challenge.
struct DnsRecord {
  std::string name;   ///< "_acme-challenge.example.com"
  std::string value;  ///< of its TXT
};
DnsRecord record_for(const wire::AcmeChallenge& challenge);

/// Runs `@p hook @p action NAME VALUE`, @p action being "set" or "unset". It returns when every
/// name server of the domain gives the new answer, within @p patience. Error `unavailable` with
/// what it says on stderr. Blocks; runs in @p child.
Result<void> run_dns_hook(Child& child, const std::string& hook, const std::string& action,
                          const DnsRecord& record, std::chrono::milliseconds patience);

}  // namespace karreg::scheduler::certificates
