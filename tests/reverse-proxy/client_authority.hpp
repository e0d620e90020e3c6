#pragma once
/// Authorities of a test, and certificates of visitors that they make.

#include <openssl/x509v3.h>

#include "reverse-proxy/tls_peer.hpp"

namespace karreg::proxy::testing {

/// What a certificate says of who has it.
struct Papers {
  std::string name = "anna";
  std::string uses = "clientAuth";  ///< extendedKeyUsage; empty: it does not say
  long from_s = -3600;              ///< it is good, from now
  long to_s = 86'400;
};

/// One that signs itself, or that another one has made.
class Authority {
 public:
  explicit Authority(const std::string& name, const Authority* above = nullptr, Papers papers = {})
      : key_(new_key()) {
    papers.name = name;
    papers.uses = "";
    made_ = make(papers, key_.get(), true, above == nullptr ? nullptr : above->made_.get(),
                 above == nullptr ? key_.get() : above->key_.get());
  }
  /// PEM.
  std::string certificate() const { return pem(made_.get()); }
  /// A visitor's, with its key, PEM.
  std::string issue(const Papers& papers = {}) const {
    const auto key = new_key();
    return pem(make(papers, key.get(), false, made_.get(), key_.get()).get()) + pem_of(key.get());
  }

 private:
  using Made = Handle<X509, X509_free>;

  static std::string pem(X509* certificate) {
    const Handle<BIO, BIO_free_all> out(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(out.get(), certificate);
    char* text = nullptr;
    const auto size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<std::size_t>(size)};
  }
  static void add(X509* to, int nid, const std::string& value) {
    const Handle<X509_EXTENSION, X509_EXTENSION_free> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str()));
    X509_add_ext(to, extension.get(), -1);
  }
  static Made make(const Papers& papers, EVP_PKEY* key, bool authority, X509* issuer,
                   EVP_PKEY* issuer_key) {
    Made made(X509_new());
    X509_set_version(made.get(), X509_VERSION_3);
    static long serial = 0;
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), papers.from_s);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), papers.to_s);
    X509_set_pubkey(made.get(), key);
    auto* name = X509_get_subject_name(made.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(papers.name.c_str()), -1, -1,
                               0);
    X509_set_issuer_name(made.get(), issuer == nullptr ? name : X509_get_subject_name(issuer));
    add(made.get(), NID_basic_constraints, authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (!papers.uses.empty()) add(made.get(), NID_ext_key_usage, papers.uses);
    if (X509_sign(made.get(), issuer_key, EVP_sha256()) == 0)
      throw std::runtime_error("cannot sign a certificate");
    return made;
  }

  Key key_;
  Made made_;
};

}  // namespace karreg::proxy::testing
