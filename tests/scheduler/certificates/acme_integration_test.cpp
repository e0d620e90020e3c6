// Certificates from order to handshake, with real programs and a real ACME server.
#include "scheduler/certificates/a_platform.hpp"
#include "support/a_certificate.hpp"

using namespace karreg;
using namespace karreg::test;
using namespace std::chrono_literals;

namespace {
const std::string shop = "shop.example.test";
}

TEST_CASE(
    "by http-01 a name gets a certificate, which is served and renewed, its key never shown") {
  CertifiedPlatform platform;
  auto& proxy = platform.start_proxy("p1");
  // Renewed when 12 seconds of its 60 are over.
  auto& pebble = platform.start_pebble({proxy.http, proxy.https, 60});
  pebble.resolves(shop);
  platform.add_host(shop);
  platform.start_scheduler({{"KARREG_SCHEDULER_RENEW_PERCENT", "20"}});
  const auto root = pebble.root();
  std::string first;
  eventually("a client that trusts the authority reaches the shop", [&] {
    first = CertifiedPlatform::serial(proxy, shop, root);
    return !first.empty();
  });
  CHECK(platform.held("error", shop).empty());
  CHECK(CertifiedPlatform::serial(proxy, "other.example.test", root).empty());

  std::string second;
  eventually("the certificate is renewed", [&] {
    second = CertifiedPlatform::serial(proxy, shop, root);
    return !second.empty() && second != first;
  });
  CHECK(platform.database().value("SELECT count(*) FROM certificates") == "1");
  // Its challenges are gone.
  CHECK(platform.database().value("SELECT count(*) FROM acme_challenges") == "0");

  const auto sealed = platform.held("sealed_key", shop);
  CHECK(sealed.size() > 100);
  CHECK(sealed.find("PRIVATE KEY") == std::string::npos);
  CHECK(platform.database().value("SELECT sealed_key FROM acme_accounts").find("PRIVATE KEY") ==
        std::string::npos);
  CHECK(platform.readable_keys().empty());

  SECTION("a proxy that starts again without a broker serves https at once") {
    platform.scheduler().stop(SIGTERM);
    const auto last = CertifiedPlatform::serial(proxy, shop, root);
    const auto saved = platform.scratch() / "data/proxy/p1.certificates";
    eventually("the proxy has saved it", [&] {
      return std::filesystem::exists(saved) &&
             read_file(saved).find("BEGIN CERTIFICATE") != std::string::npos;
    });
    CHECK((std::filesystem::status(saved).permissions() & std::filesystem::perms::all) ==
          (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
    proxy.daemon.stop(SIGKILL);
    platform.start_proxy("p1", false);
    CHECK(CertifiedPlatform::serial(proxy, shop, root) == last);
  }
  SECTION(
      "a process of the proxy that takes over from another serves it, and follows from then on") {
    kill(proxy.daemon.pid(), SIGHUP);
    eventually("the next process serves",
               [&] { return count(proxy.daemon.log(), "proxy is up") == 2; });
    const auto taken_over = CertifiedPlatform::serial(proxy, shop, root);
    CHECK_FALSE(taken_over.empty());
    eventually("the next renewal reaches it", [&] {
      const auto serial = CertifiedPlatform::serial(proxy, shop, root);
      return !serial.empty() && serial != taken_over;
    });
  }
  SECTION("an application that is gone takes its certificate with it") {
    platform.database().query("UPDATE apps SET deleted_at = now()");
    eventually("it is not served any more",
               [&] { return CertifiedPlatform::serial(proxy, shop, root).empty(); });
    CHECK(platform.database().value("SELECT count(*) FROM certificates") == "0");
  }
}

TEST_CASE("by tls-alpn-01 a name gets a certificate, which every proxy serves") {
  CertifiedPlatform platform;
  auto& proxy = platform.start_proxy("p1");
  auto& other = platform.start_proxy("p2");
  // Nothing listens for http.
  auto& pebble = platform.start_pebble({free_port(), proxy.https, 3600});
  pebble.resolves(shop);
  platform.add_host(shop);
  platform.start_scheduler({{"KARREG_SCHEDULER_ACME_CHALLENGE", "tls-alpn-01"}});
  const auto root = pebble.root();
  std::string serial;
  eventually("the shop is reached", [&] {
    serial = CertifiedPlatform::serial(proxy, shop, root);
    return !serial.empty();
  });
  eventually("also through the other proxy",
             [&] { return CertifiedPlatform::serial(other, shop, root) == serial; });
  // One that comes later asks for the whole.
  auto& late = platform.start_proxy("p3");
  eventually("and through one that came later",
             [&] { return CertifiedPlatform::serial(late, shop, root) == serial; });
}

TEST_CASE(
    "the names of the platform itself get a wildcard by dns-01, through the operator's hook") {
  CertifiedPlatform platform;
  auto& proxy = platform.start_proxy("p1");
  auto& pebble = platform.start_pebble({free_port(), free_port(), 3600});
  platform.add_host("shop.apps.test");
  platform.start_scheduler({{"KARREG_SCHEDULER_ACME_NAMES", "*.apps.test"},
                            {"KARREG_SCHEDULER_DNS_HOOK", pebble.dns_hook()}});
  const auto root = pebble.root();
  eventually("a shop under it is reached",
             [&] { return !CertifiedPlatform::serial(proxy, "shop.apps.test", root).empty(); });
  // The shop needs none of its own.
  CHECK(platform.database().value("SELECT string_agg(name, ' ') FROM certificates") ==
        "*.apps.test");
  const auto hook = pebble.hook_log();
  CHECK_THAT(hook, Catch::StartsWith("set _acme-challenge.apps.test ") &&
                       Catch::Contains("\nunset _acme-challenge.apps.test "));
}

TEST_CASE("a name that cannot be proven says why, is tried again, and holds up no other") {
  CertifiedPlatform platform;
  auto& proxy = platform.start_proxy("p1");
  auto& pebble = platform.start_pebble({proxy.http, proxy.https, 3600});
  pebble.resolves(shop);
  platform.add_host("lost.example.test");
  platform.add_host(shop);
  platform.start_scheduler({{"KARREG_SCHEDULER_ACME_FIRST_RETRY", "2s"}});
  const auto root = pebble.root();
  eventually("the other name is served",
             [&] { return !CertifiedPlatform::serial(proxy, shop, root).empty(); });
  eventually("the failure is kept",
             [&] { return !platform.held("error", "lost.example.test").empty(); });
  CHECK_THAT(platform.held("error", "lost.example.test"),
             Catch::StartsWith("the certificate authority at " + pebble.directory() +
                               " gave no certificate: it could not check lost.example.test by "
                               "http-01: ") &&
                 Catch::Contains("lost.example.test"));
  CHECK(platform.held("next_try > now() - interval '1 minute'", "lost.example.test") == "t");
  eventually("it is tried again",
             [&] { return std::stoi(platform.held("failures", "lost.example.test")) >= 2; });
  // Its owner puts it right.
  pebble.resolves("lost.example.test");
  eventually("it is served in the end",
             [&] { return !CertifiedPlatform::serial(proxy, "lost.example.test", root).empty(); });
  CHECK(platform.held("error", "lost.example.test").empty());
  CHECK(platform.held("failures", "lost.example.test") == "0");
}

TEST_CASE("a certificate authority that is away is an error like any other") {
  CertifiedPlatform platform;
  platform.start_proxy("p1");
  auto& pebble = platform.start_pebble({1, 1, 3600});
  pebble.stop();
  platform.add_host(shop);
  platform.start_scheduler();
  eventually("the failure is kept", [&] { return !platform.held("error", shop).empty(); });
  CHECK_THAT(platform.held("error", shop),
             Catch::StartsWith("the certificate authority at " + pebble.directory() +
                               " gave no certificate: "));
  CHECK(platform.scheduler().stop(SIGTERM) == 0);
}

TEST_CASE("without a proxy that could answer, the certificate authority is not asked") {
  CertifiedPlatform platform;
  auto& pebble = platform.start_pebble({1, 1, 3600});
  pebble.resolves(shop);
  platform.add_host(shop);
  platform.start_scheduler();
  eventually("the failure is kept", [&] { return !platform.held("error", shop).empty(); });
  CHECK(platform.held("error", shop) ==
        "no reverse proxy is up that could answer the certificate authority");
}

TEST_CASE("local names are served by the platform's own authority, which is made once") {
  CertifiedPlatform platform;
  auto& proxy = platform.start_proxy("p1");
  platform.add_host("app.localhost");
  // Without an ACME server it is left alone.
  platform.add_host(shop);
  const Environment settings{
      {"KARREG_SCHEDULER_LOCAL_CA", (platform.scratch() / "local-ca").string()}};
  platform.start_scheduler(settings);
  const auto root = (platform.scratch() / "local-ca/root.pem").string();
  eventually("the root is shown", [&] { return std::filesystem::exists(root); });
  std::string serial;
  eventually("a client that trusts it reaches the application", [&] {
    serial = CertifiedPlatform::serial(proxy, "app.localhost", root);
    return !serial.empty();
  });
  CHECK_THAT(read_file(platform.scratch() / "local-ca/README"),
             Catch::Contains("update-ca-certificates"));
  CHECK(platform.readable_keys().empty());
  CHECK(platform.database().value("SELECT count(*) FROM certificates") == "1");
  const auto made = read_file(root);
  CHECK(platform.scheduler().stop(SIGTERM) == 0);
  std::filesystem::remove(root);
  platform.start_scheduler(settings);
  platform.add_host("second.localhost");
  eventually("a further name is served",
             [&] { return !CertifiedPlatform::serial(proxy, "second.localhost", root).empty(); });
  CHECK(read_file(root) == made);
  CHECK(CertifiedPlatform::serial(proxy, "app.localhost", root) == serial);
}

TEST_CASE("what an owner uploads is shown for his own hosts only, and until he takes it away") {
  AnApi api("uploads");
  const User ann = api.make_user("ann@example.org");
  const User bob = api.make_user("bob@example.org");
  const auto add_host = [&](const User& user, const std::string& host) {
    auto path = "/v2/self/applications/" + api.make_app(user, host);
    api.good(user, "PUT", path + "/vhosts/" + host);
    return path;
  };
  const auto path = add_host(ann, shop);
  add_host(bob, "victim.example.test");
  CertifiedPlatform platform(&api);
  auto& proxy = platform.start_proxy("p1");
  platform.start_scheduler();
  const ACertificate own({shop, "later.example.test", "victim.example.test"});
  const auto made = api.good(ann, "POST", path + "/certificates",
                             Json({{"chain", own.chain}, {"key", own.key}}).dump());
  write_file(platform.scratch() / "own.pem", own.chain);
  const auto trusted = (platform.scratch() / "own.pem").string();
  const auto is_shown = [&](const std::string& host) {
    return !CertifiedPlatform::serial(proxy, host, trusted).empty();
  };
  eventually("it is shown", [&] { return is_shown(shop); });
  CHECK_FALSE(is_shown("victim.example.test"));
  CHECK_FALSE(is_shown("later.example.test"));
  api.good(ann, "PUT", path + "/vhosts/later.example.test");
  eventually("also for a host that came later", [&] { return is_shown("later.example.test"); });
  CHECK(is_shown(shop));
  CHECK_FALSE(is_shown("victim.example.test"));
  CHECK(platform.readable_keys() == std::vector<std::string>());
  const auto good_until = [&](const std::string& moment) {
    platform.database().query("UPDATE certificates SET not_after = " + moment +
                              " WHERE origin = 'uploaded'");
  };
  good_until("now() - interval '1 second'");
  eventually("one that has expired hides no other", [&] { return !is_shown(shop); });
  good_until("now() + interval '1 day'");
  eventually("it is shown again", [&] { return is_shown(shop); });
  api.good(ann, "DELETE", path + "/certificates/" + made["id"].get<std::string>());
  eventually("it is not shown any more", [&] { return !is_shown(shop); });
}
