#include "common/crypto/certificate.hpp"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <catch2/catch.hpp>

using namespace karreg::crypto;
using namespace std::chrono_literals;

namespace {

const Seconds today{1'800'000'000s};

NewCertificate a_wish(std::vector<std::string> names) {
  NewCertificate wish;
  wish.subject = "test";
  wish.names = std::move(names);
  wish.not_before = today - 24h;
  wish.not_after = today + 48h;
  return wish;
}

struct Authority {
  PrivateKey key = new_private_key();
  X509Certificate root;
  explicit Authority(std::vector<std::string> confined = {}) {
    auto wish = a_wish({});
    wish.subject = "root";
    wish.authority = true;
    wish.confined = std::move(confined);
    root = make_certificate(wish, key, nullptr, key);
  }
  /// Whether a client that trusts the root accepts @p leaf for @p host.
  bool vouches_for(X509* leaf, const char* host) const {
    const karreg::Handle<X509_STORE, X509_STORE_free> store(X509_STORE_new());
    X509_STORE_add_cert(store.get(), root.get());
    const karreg::Handle<X509_STORE_CTX, X509_STORE_CTX_free> check(X509_STORE_CTX_new());
    X509_STORE_CTX_init(check.get(), store.get(), leaf, nullptr);
    auto* parameters = X509_STORE_CTX_get0_param(check.get());
    X509_VERIFY_PARAM_set_time(parameters, today.time_since_epoch().count());
    X509_VERIFY_PARAM_set1_host(parameters, host, 0);
    X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_SERVER);
    return X509_verify_cert(check.get()) == 1;
  }
};

std::string refusal(const std::string& chain, const std::string& key, Seconds now = today) {
  const auto checked = check_chain(chain, key, now);
  return checked ? "" : checked.error().message();
}

}  // namespace

TEST_CASE("a chain and its key tell names and times") {
  const Authority authority;
  const auto key = new_private_key();
  const auto leaf =
      make_certificate(a_wish({"a.test", "*.b.test"}), key, authority.root.get(), authority.key);
  const auto facts =
      check_chain(to_pem(*leaf) + to_pem(*authority.root), to_pem(key), today).value();
  CHECK(facts.names == std::vector<std::string>{"a.test", "*.b.test"});
  CHECK(facts.not_before == today - 24h);
  CHECK(facts.not_after == today + 48h);
}

TEST_CASE("a chain that cannot be used says why") {
  const Authority authority;
  const auto key = new_private_key();
  const auto leaf = make_certificate(a_wish({"a.test"}), key, authority.root.get(), authority.key);
  const auto chain = to_pem(*leaf);
  CHECK_THAT(refusal("nonsense", to_pem(key)),
             Catch::StartsWith("the certificate: there is no certificate in it"));
  CHECK_THAT(refusal(chain, chain),
             Catch::StartsWith("the private key: there is no private key without a pass phrase"));
  CHECK(refusal(chain, to_pem(new_private_key())) ==
        "the private key belongs to another certificate than the first one of the chain");
  CHECK(refusal(chain, to_pem(key), today + 48h) ==
        "the certificate has expired: it was good until 2027-01-17 08:00 UTC");
  CHECK(refusal(chain, to_pem(key), today + 48h - 1s).empty());
  CHECK(refusal(chain, to_pem(key), today - 24h - 1s) ==
        "the certificate is not good yet: it begins at 2027-01-14 08:00 UTC");
  CHECK(refusal(to_pem(*authority.root), to_pem(authority.key)) ==
        "the certificate names no host (subjectAltName)");
  CHECK_THAT(refusal(chain + chain, to_pem(key)),
             Catch::StartsWith("certificate 2 of the chain did not make the one before it"));
  CHECK_THAT(refusal(chain + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                     to_pem(key)),
             Catch::StartsWith("the certificate: a certificate in it cannot be read: "));
}

TEST_CASE("a wildcard covers one label") {
  CHECK(covers("a.test", "a.test"));
  CHECK(covers("*.test", "a.test"));
  CHECK_FALSE(covers("*.test", "b.a.test"));
  CHECK_FALSE(covers("*.test", "test"));
  CHECK_FALSE(covers("*.test", ".test"));
  CHECK_FALSE(covers("b.test", "a.test"));
}

TEST_CASE("an authority vouches for its names, and when confined for no others") {
  const auto key = new_private_key();
  const Authority confined({"localhost"});
  const auto made = [&](const std::string& name) {
    return make_certificate(a_wish({name}), key, confined.root.get(), confined.key);
  };
  CHECK(confined.vouches_for(made("app.localhost").get(), "app.localhost"));
  CHECK_FALSE(confined.vouches_for(made("app.localhost").get(), "other.localhost"));
  CHECK_FALSE(confined.vouches_for(made("bank.example").get(), "bank.example"));
  CHECK(Authority().vouches_for(make_certificate(a_wish({"bank.example"}), key, nullptr, key).get(),
                                "x") == false);
}

TEST_CASE("a request asks for its names") {
  const auto key = new_private_key();
  const std::vector<std::string> names{"a.test", "*.a.test"};
  const auto pem = certificate_request(key, names);
  const karreg::Handle<BIO, BIO_free_all> in(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const karreg::Handle<X509_REQ, X509_REQ_free> request(
      PEM_read_bio_X509_REQ(in.get(), nullptr, nullptr, nullptr));
  REQUIRE(request);
  CHECK(X509_REQ_verify(request.get(), key.get()) == 1);
  auto* extensions = X509_REQ_get_extensions(request.get());
  CHECK(X509v3_get_ext_by_NID(extensions, NID_subject_alt_name, -1) == 0);
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  // It would be a list to OpenSSL.
  const std::vector<std::string> two_in_one{"a.test,DNS:b.test"};
  CHECK_THROWS_AS(certificate_request(key, two_in_one), std::invalid_argument);
}
