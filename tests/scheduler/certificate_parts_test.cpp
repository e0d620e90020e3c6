// Settings, hooks and the local authority of what gets certificates.
#include <catch2/catch.hpp>

#include "common/crypto/certificate.hpp"
#include "scheduler/certificates/dns_hook.hpp"
#include "scheduler/certificates/local_authority.hpp"
#include "scheduler/certificates/settings.hpp"
#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::scheduler::certificates;
using namespace std::chrono_literals;

namespace {

using Environment = std::map<std::string, std::string>;

Result<Settings> read(const Environment& environment) {
  auto config = Config::load(declared_settings(), "", environment);
  REQUIRE(config);
  return read_settings(*config);
}

std::string error_of(Environment environment) {
  environment.emplace("KARREG_SCHEDULER_ACME_DIRECTORY", "https://ca.example/dir");
  environment.emplace("KARREG_SCHEDULER_ACME_TERMS_AGREED", "true");
  const auto settings = read(environment);
  return settings ? "" : settings.error().message();
}

}  // namespace

TEST_CASE("without a directory nothing is ordered, and that is no error") {
  const auto settings = read({});
  REQUIRE(settings);
  CHECK_FALSE(settings->rules.acme);
  CHECK_FALSE(settings->rules.local);
  CHECK(settings->rules.local_domains == std::vector<std::string>{"localhost"});
  CHECK(settings->rules.renew_percent == 67);
}

TEST_CASE("settings of certificates are checked when the scheduler starts") {
  CHECK(error_of({}).empty());
  CHECK(error_of({{"KARREG_SCHEDULER_ACME_DIRECTORY", "http://ca.example/dir"}}) ==
        "setting scheduler.acme_directory = \"http://ca.example/dir\" must begin with https://");
  CHECK_THAT(error_of({{"KARREG_SCHEDULER_ACME_TERMS_AGREED", "false"}}),
             Catch::StartsWith("setting scheduler.acme_directory needs scheduler.acme_terms_agreed "
                               "= \"true\""));
  CHECK(error_of({{"KARREG_SCHEDULER_ACME_CHALLENGE", "dns-01"}}) ==
        "dns-01, which names with \"*.\" need, needs setting scheduler.dns_hook");
  CHECK(error_of({{"KARREG_SCHEDULER_ACME_NAMES", "apps.example *.apps.example"}}) ==
        "dns-01, which names with \"*.\" need, needs setting scheduler.dns_hook");
  CHECK(error_of({{"KARREG_SCHEDULER_ACME_NAMES", "apps.example"}}).empty());
  CHECK(error_of({{"KARREG_SCHEDULER_ACME_NAMES", "a,b"}}) ==
        "setting scheduler.acme_names: \"a,b\" is no DNS name");
  CHECK(error_of({{"KARREG_SCHEDULER_ACME_CHALLENGE", "email"}}) ==
        "setting scheduler.acme_challenge = \"email\" must be http-01, tls-alpn-01 or dns-01");
  CHECK(error_of({{"KARREG_SCHEDULER_ACME_EAB_KEY_ID", "kid"}}) ==
        "settings scheduler.acme_eab_key_id and scheduler.acme_eab_hmac_key belong together");
  CHECK_THAT(error_of({{"KARREG_SCHEDULER_RENEW_PERCENT", "100"}}),
             Catch::Contains("scheduler.renew_percent"));
}

TEST_CASE("the record of a name holds the digest of its key authorization") {
  // By openssl dgst and basenc; the key authorization is RFC 8555's of §8.1.
  const auto record = record_for(
      {"dns-01", "www.example.org", "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA",
       "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.nP1qzpXGymHBrUEepNY9HCsQk7K8KhOypzEt62jcerQ"});
  CHECK(record.name == "_acme-challenge.www.example.org");
  CHECK(record.value == "NGwKoXBgCT8JhEa0bK7AwfSqHyu_ZWeugV07fLGIVq0");
}

TEST_CASE("a DNS hook that fails says why") {
  const test::ScratchFolder scratch;
  const auto hook = scratch / "hook";
  test::write_file(hook, "#!/bin/sh\necho \"$@\" >" + (scratch / "said").string() +
                             "\necho no such zone >&2\nexit 7\n");
  std::filesystem::permissions(hook, std::filesystem::perms::owner_all);
  Child child;
  const auto set =
      run_dns_hook(child, hook.string(), "set", {"_acme-challenge.a.test", "value"}, 10s);
  REQUIRE_FALSE(set);
  CHECK(set.error().message() == "the platform's DNS hook (" + hook.string() +
                                     " set) failed with exit code 7: no such zone");
  CHECK(test::read_file(scratch / "said") == "set _acme-challenge.a.test value\n");
}

TEST_CASE("the root of the local authority is shown once, and again when it is gone") {
  const test::ScratchFolder scratch;
  const crypto::Seconds now{1'800'000'000s};
  const auto authority = make_local_authority({"localhost"}, now);
  REQUIRE(show_root(authority, scratch / "ca"));
  CHECK(test::read_file(scratch / "ca/root.pem") == authority.root);
  CHECK(test::read_file(scratch / "ca/README").find("PRIVATE KEY") == std::string::npos);
  const auto written = std::filesystem::last_write_time(scratch / "ca/root.pem");
  REQUIRE(show_root(authority, scratch / "ca"));
  CHECK(std::filesystem::last_write_time(scratch / "ca/root.pem") == written);
  std::filesystem::remove(scratch / "ca/root.pem");
  REQUIRE(show_root(authority, scratch / "ca"));
  CHECK(test::read_file(scratch / "ca/root.pem") == authority.root);
  const auto made = issue_locally(authority, "app.localhost", now).value();
  CHECK(crypto::check_chain(made.chain, made.key, now).value().names ==
        std::vector<std::string>{"app.localhost"});
}
