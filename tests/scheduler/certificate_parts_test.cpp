// Settings, children and the local authority of what gets certificates.
#include <catch2/catch.hpp>
#include <csignal>
#include <thread>

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

Result<Child::Ended> run_shell(Child& child, const std::string& script, const std::string& input,
                               const Child::Answer& answer,
                               std::chrono::milliseconds patience = 10s) {
  return child.run({{"/bin/sh", "-c", script}, {}, patience}, input, answer);
}

const Child::Answer silent = [](const std::string&) { return std::optional<std::string>(""); };

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

TEST_CASE("a child is told what its lines ask for, and its end is known") {
  Child child;
  std::vector<std::string> lines;
  const auto ended = run_shell(
      child, "read a; echo \"got $a\"; read b; echo \"got $b\"; cat; echo trouble >&2; exit 3",
      "first\n", [&](const std::string& line) -> std::optional<std::string> {
        lines.push_back(line);
        if (lines.size() == 1) return "second\n";
        return std::nullopt;
      });
  REQUIRE(ended);
  CHECK(lines == std::vector<std::string>{"got first", "got second"});
  CHECK(ended->exit_code == 3);
  CHECK(ended->error_output == "trouble\n");
}

TEST_CASE("a child that takes too long is ended with all that it has started") {
  const test::ScratchFolder scratch;
  Child child;
  const auto file = (scratch / "pid").string();
  const auto ended = run_shell(child, "sleep 100 & echo $! >" + file + "; wait", "", silent, 300ms);
  REQUIRE_FALSE(ended);
  CHECK(ended.error().kind() == ErrorKind::timeout);
  const auto pid = std::stoi(test::read_file(file));
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  // Nobody's child any more: init takes it a moment later.
  while (::kill(pid, 0) == 0 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(10ms);
  CHECK(
      (::kill(pid, 0) != 0 ||
       test::read_file("/proc/" + std::to_string(pid) + "/stat").find(") Z") != std::string::npos));
}

TEST_CASE("a child is ended from another thread, and no further one begins") {
  Child child;
  std::thread stopper;
  const auto ended = run_shell(child, "echo up; sleep 100", "", [&](const std::string&) {
    stopper = std::thread([&] { child.stop(); });
    return std::optional<std::string>("");
  });
  stopper.join();
  REQUIRE_FALSE(ended);
  CHECK(ended.error().message() == "the scheduler stops");
  CHECK_FALSE(run_shell(child, "true", "", silent));
}

TEST_CASE("a child that cannot be started, and one whose output never ends its line, are errors") {
  Child child;
  CHECK_FALSE(child.run({{"/nowhere/program"}, {}, 1s}, "", silent));
  const auto endless = run_shell(child, "exec tr '\\0' x </dev/zero", "", silent);
  REQUIRE_FALSE(endless);
  CHECK(endless.error().kind() == ErrorKind::too_large);
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
