#include "reverse-proxy/tls/challenges.hpp"

#include "common/crypto/digest.hpp"
#include "common/text.hpp"

namespace karreg::proxy::tls {

namespace {
constexpr std::string_view well_known = "/.well-known/acme-challenge/";

bool is_host(std::string_view host) {
  return !host.empty() &&
         host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.") == std::string::npos;
}
}  // namespace

Challenges::Challenges(const std::vector<wire::AcmeChallenge>& all,
                       std::vector<std::string>& left_out) {
  for (const auto& challenge : all) {
    const auto leave_out = [&](const std::string& why) {
      left_out.push_back("challenge for \"" + challenge.host + "\": " + why);
    };
    if (!is_host(challenge.host)) {
      leave_out("this is no host");
    } else if (challenge.kind == "http-01") {
      http_[challenge.host + std::string(well_known) + challenge.token] =
          challenge.key_authorization;
    } else if (challenge.kind == "tls-alpn-01") {
      const auto digest = crypto::from_hex(crypto::sha256_hex(challenge.key_authorization));
      const auto made = Certificate::for_challenge(challenge.host, digest.value());
      if (made)
        tls_[challenge.host] = *made;
      else
        leave_out(made.error().message());
    } else {
      leave_out("its kind \"" + challenge.kind + "\" is not known");
    }
  }
}

const std::string* Challenges::http_answer(std::string_view host, std::string_view path) const {
  if (!path.starts_with(well_known)) return nullptr;
  std::string key(host);
  key += path;
  const auto found = http_.find(key);
  return found == http_.end() ? nullptr : &found->second;
}

const Certificate* Challenges::tls_answer(std::string_view host) const {
  const auto found = tls_.find(text::lower(host));
  return found == tls_.end() ? nullptr : found->second.get();
}

}  // namespace karreg::proxy::tls
