#include "scheduler/certificates/settings.hpp"

#include <algorithm>
#include <sstream>

#include "common/text.hpp"

namespace karreg::scheduler::certificates {

std::vector<Setting> declared_settings() {
  return {
      {"scheduler.acme_directory",
       "URL of the directory of an ACME server (RFC 8555), such as "
       "https://acme-v02.api.letsencrypt.org/directory: names of applications get their "
       "certificates there; empty: they do not",
       "", false},
      {"scheduler.acme_terms_agreed",
       "true: you agree to the terms of service of that certificate authority", "false", false},
      {"scheduler.acme_email", "where that certificate authority writes to; may be empty", "",
       false},
      {"scheduler.acme_eab_key_id",
       "key identifier of the external account, where the certificate authority wants one", "",
       false},
      {"scheduler.acme_eab_hmac_key", "key of the external account, base64url", "", false},
      {"scheduler.acme_ca_file",
       "PEM file with the root that the ACME server's own https is believed by; empty: the "
       "system's",
       "", false},
      {"scheduler.acme_challenge",
       "how names are proven: http-01 (port 80 leads to the proxies), tls-alpn-01 (port 443 does) "
       "or dns-01 (by scheduler.dns_hook); names with \"*.\" always by dns-01",
       "http-01", false},
      {"scheduler.acme_names",
       "names of the platform itself that get a certificate, such as *.apps.example.com, separated "
       "by spaces; applications under them need none of their own",
       "", false},
      {"scheduler.acme_first_retry",
       "pause after the first failure with a name; twice as long after each further one, up to a "
       "day",
       "15m", false},
      {"scheduler.acme_orders_per_hour",
       "most orders in an hour, 1 to 100000; Let's Encrypt takes 300 in three", "100", false},
      {"scheduler.acme_patience", "how long one order may take", "5m", false},
      {"scheduler.dns_hook",
       "program that is run with set or unset, a record's name and the value of its TXT, for "
       "dns-01; returns when the domain's name servers answer so",
       "", false},
      {"scheduler.certified_elsewhere",
       "names that certificates in proxy.certificates are for, separated by spaces; the platform "
       "orders none for them",
       "", false},
      {"scheduler.renew_percent",
       "a certificate is renewed when so many percent of its life are over, 1 to 99", "67", false},
      {"scheduler.local_ca",
       "folder where the root of the platform's own certificate authority is shown, which is for "
       "the names of scheduler.local_ca_domains; empty: there is none",
       "", false},
      {"scheduler.local_ca_domains",
       "domains, separated by spaces, whose names get their certificates from the platform's own "
       "authority",
       "localhost", false},
  };
}

namespace {

Result<std::vector<std::string>> names(const Config& config, const std::string& setting) {
  std::istringstream in(text::lower(config.text(setting)));
  std::vector<std::string> all;
  for (std::string name; in >> name;) {
    const auto plain = name.starts_with("*.") ? name.substr(2) : name;
    if (plain.empty() ||
        plain.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.") != std::string::npos)
      return Error(ErrorKind::invalid, "setting " + setting + ": \"" + name + "\" is no DNS name");
    all.push_back(name);
  }
  return all;
}

Result<void> check_acme(const Config& config, const Settings& s) {
  const auto bad = [](const std::string& why) { return Error(ErrorKind::invalid, why); };
  const auto& directory = s.server.directory;
  if (!directory.starts_with("https://"))
    return bad("setting scheduler.acme_directory = \"" + directory + "\" must begin with https://");
  auto agreed = config.flag("scheduler.acme_terms_agreed");
  if (!agreed) return agreed.error();
  if (!*agreed)
    return bad(
        "setting scheduler.acme_directory needs scheduler.acme_terms_agreed = \"true\": an "
        "account there is made by agreeing to its terms of service, which only you can");
  if (s.server.eab_key_id.empty() != s.server.eab_hmac_key.empty())
    return bad(
        "settings scheduler.acme_eab_key_id and scheduler.acme_eab_hmac_key belong together");
  const bool by_dns = s.challenge == "dns-01" ||
                      std::ranges::any_of(s.rules.platform,
                                          [](const auto& name) { return name.starts_with("*."); });
  if (by_dns && s.dns_hook.empty())
    return bad("dns-01, which names with \"*.\" need, needs setting scheduler.dns_hook");
  return ok();
}

}  // namespace

Result<Settings> read_settings(const Config& config) {
  Settings s;
  s.server.directory = config.text("scheduler.acme_directory");
  s.server.ca_file = config.text("scheduler.acme_ca_file");
  s.server.email = config.text("scheduler.acme_email");
  s.server.eab_key_id = config.text("scheduler.acme_eab_key_id");
  s.server.eab_hmac_key = config.text("scheduler.acme_eab_hmac_key");
  s.challenge = config.text("scheduler.acme_challenge");
  s.dns_hook = config.text("scheduler.dns_hook");
  s.local_folder = config.text("scheduler.local_ca");
  if (s.challenge != "http-01" && s.challenge != "tls-alpn-01" && s.challenge != "dns-01")
    return Error(ErrorKind::invalid, "setting scheduler.acme_challenge = \"" + s.challenge +
                                         "\" must be http-01, tls-alpn-01 or dns-01");
  for (auto [name, into] : {std::pair{"scheduler.acme_names", &s.rules.platform},
                            std::pair{"scheduler.certified_elsewhere", &s.rules.elsewhere},
                            std::pair{"scheduler.local_ca_domains", &s.rules.local_domains}}) {
    auto read = names(config, name);
    if (!read) return read.error();
    *into = *read;
  }
  const auto renew = config.number("scheduler.renew_percent", 1, 99);
  if (!renew) return renew.error();
  s.rules.renew_percent = static_cast<int>(*renew);
  const auto per_hour = config.number("scheduler.acme_orders_per_hour", 1, 100'000);
  if (!per_hour) return per_hour.error();
  s.rules.orders_per_hour = static_cast<std::size_t>(*per_hour);
  for (auto [name, into] : {std::pair{"scheduler.acme_first_retry", &s.rules.first_retry},
                            std::pair{"scheduler.acme_patience", &s.server.patience}}) {
    const auto read = config.duration(name);
    if (!read) return read.error();
    if (read->count() <= 0)
      return Error(ErrorKind::invalid, std::string("setting ") + name + " must be longer than 0");
    *into = *read;
  }
  s.rules.local = !s.local_folder.empty();
  s.rules.acme = !s.server.directory.empty();
  if (s.rules.acme) {
    auto checked = check_acme(config, s);
    if (!checked) return checked.error();
  }
  return s;
}

}  // namespace karreg::scheduler::certificates
