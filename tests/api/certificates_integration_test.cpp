// Certificates of an application's domains, over HTTP against a real karreg-api and database; the
// test plays the scheduler with SQL.
#include "common/crypto/vault.hpp"
#include "support/a_certificate.hpp"
#include "support/an_api.hpp"

using namespace karreg;
using namespace karreg::test;

namespace {

struct Shop {
  AnApi api{"certificates"};
  User ann = api.make_user("ann@example.org");
  std::string id = api.make_app(ann, "shop");
  std::string path = "/v2/self/applications/" + id;

  Shop() { api.good(ann, "PUT", path + "/vhosts/www.example.org"); }
  http::Response upload(const User& user, const std::string& chain, const std::string& key) const {
    return api.call(user, "POST", path + "/certificates",
                    Json({{"chain", chain}, {"key", key}}).dump());
  }
  Json listed() const { return api.good(ann, "GET", path + "/certificates"); }
  Json domain(const std::string& host) const {
    for (const auto& each : listed()["domains"])
      if (each["domain"] == host) return each;
    return nullptr;
  }
};

}  // namespace

TEST_CASE("an owner brings a certificate, sees it, and takes it away") {
  Shop shop;
  CHECK(shop.domain("www.example.org")["state"] == "none");
  const ACertificate own({"*.example.org", "other.example.net"});
  // What else is in the files is not kept.
  const auto answer = shop.upload(shop.ann, own.key + own.chain, own.chain + own.key);
  INFO(answer.body);
  REQUIRE(answer.status == 201);
  const auto made = Json::parse(answer.body);
  CHECK(made["domains"] == Json({"www.example.org"}));
  CHECK(made["names"] == Json({"*.example.org", "other.example.net"}));
  const auto domain = shop.domain("www.example.org");
  CHECK(domain["state"] == "issued");
  CHECK(domain["origin"] == "uploaded");
  CHECK(domain["notAfter"] == made["notAfter"]);
  CHECK(shop.domain("shop.localhost")["state"] == "none");

  auto& database = shop.api.database();
  CHECK(database.value("SELECT chain FROM certificates") == own.chain);
  const auto sealed = database.value("SELECT sealed_key FROM certificates");
  CHECK(sealed.find("PRIVATE KEY") == std::string::npos);
  const auto platform =
      crypto::Vault::open_existing((shop.api.scratch() / "secret.key").string()).value();
  const auto vault = platform.for_certificates();
  CHECK(vault.open(sealed, made["id"].get<std::string>()).value() == own.key);

  // The same names again: it takes the other's place.
  const ACertificate renewed({"other.example.net", "*.example.org"}, 96);
  const auto again = Json::parse(shop.upload(shop.ann, renewed.chain, renewed.key).body);
  REQUIRE(shop.listed()["uploaded"].size() == 1);
  CHECK(shop.listed()["uploaded"][0]["id"] == again["id"]);

  const auto certificate = shop.path + "/certificates/" + again["id"].get<std::string>();
  const User mallory = shop.api.make_user("mallory@example.org");
  CHECK(shop.api.call(mallory, "DELETE", certificate).status == 404);
  CHECK(shop.upload(mallory, own.chain, own.key).status == 404);
  shop.api.good(shop.ann, "DELETE", certificate);
  CHECK(shop.listed()["uploaded"].empty());
  CHECK(shop.api.call(shop.ann, "DELETE", certificate).status == 404);
}

TEST_CASE("a certificate that cannot be used is refused with the reason") {
  Shop shop;
  const ACertificate own({"www.example.org"});
  const auto refusal = [&](const std::string& chain, const std::string& key) {
    const auto answer = shop.upload(shop.ann, chain, key);
    CHECK(answer.status == 400);
    return message_of(answer);
  };
  CHECK_THAT(refusal("", own.key), Catch::StartsWith("the certificate: there is no certificate"));
  CHECK_THAT(refusal(own.chain, ""),
             Catch::StartsWith("the private key: there is no private key without a pass phrase"));
  CHECK(refusal(own.chain, ACertificate({"www.example.org"}).key) ==
        "the private key belongs to another certificate than the first one of the chain");
  const ACertificate over({"www.example.org"}, 0);
  CHECK_THAT(refusal(over.chain, over.key), Catch::StartsWith("the certificate has expired: it "
                                                              "was good until "));
  const ACertificate other({"www.example.net", "*.www.example.org"});
  CHECK(refusal(other.chain, other.key) ==
        "the certificate covers no domain of the application: it is for www.example.net, "
        "*.www.example.org");
  CHECK(shop.api.database().value("SELECT count(*) FROM certificates") == "0");
}

TEST_CASE("an owner reads what became of the orders of the platform") {
  Shop shop;
  auto& database = shop.api.database();
  database.query(
      "INSERT INTO certificates (id, origin, name, error, failures, next_try) VALUES ('cert_1', "
      "'acme', 'www.example.org', 'no address for www.example.org', 2, to_timestamp(1900000000))");
  auto domain = shop.domain("www.example.org");
  CHECK(domain["state"] == "failing");
  CHECK(domain["error"] == "no address for www.example.org");
  CHECK(domain["nextTry"] == 1'900'000'000'000);
  CHECK(domain["notAfter"].is_null());
  database.query("UPDATE certificates SET order_until = now() + interval '1 minute'");
  CHECK(shop.domain("www.example.org")["state"] == "ordering");
  // A renewal that fails takes nothing away.
  database.query(
      "UPDATE certificates SET order_until = NULL, chain = 'chain', not_before = now(), not_after "
      "= now() + interval '1 day'");
  domain = shop.domain("www.example.org");
  CHECK(domain["state"] == "issued");
  CHECK(domain["error"] == "no address for www.example.org");
  // One for all of a domain stands in for its hosts.
  database.query(
      "INSERT INTO certificates (id, origin, name, chain, not_before, not_after) VALUES ('cert_2', "
      "'acme', '*.localhost', 'chain', now(), now() + interval '1 day')");
  CHECK(shop.domain("shop.localhost")["state"] == "issued");
}
