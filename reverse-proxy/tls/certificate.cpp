#include "reverse-proxy/tls/certificate.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <array>

#include "common/text.hpp"

namespace karreg::proxy::tls {

namespace {

std::string openssl_says() {
  const auto code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown reason";
  std::array<char, 200> text{};
  ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

Error bad(std::string why) {
  return {ErrorKind::invalid, std::move(why)};
}

Handle<BIO, BIO_free_all> memory(std::string_view text) {
  return Handle<BIO, BIO_free_all>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// A key with a pass phrase would ask for it on the terminal.
int no_pass_phrase(char*, int, int, void*) {
  return 0;
}

std::vector<std::string> dns_names(X509* certificate) {
  std::vector<std::string> result;
  const Handle<GENERAL_NAMES, GENERAL_NAMES_free> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const auto* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS) continue;
    const auto* bytes = reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName));
    const std::string text(bytes, static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    // A name with a zero in it would be another one to whoever reads C strings.
    if (!text.empty() && text.find('\0') == std::string::npos) result.push_back(text::lower(text));
  }
  return result;
}

std::chrono::system_clock::time_point time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

}  // namespace

Result<std::shared_ptr<const Certificate>> Certificate::from_pem(std::string_view pem,
                                                                 std::string ocsp) {
  ERR_clear_error();
  std::shared_ptr<Certificate> made(new Certificate());
  auto in = memory(pem);
  while (X509* next = PEM_read_bio_X509(in.get(), nullptr, no_pass_phrase, nullptr)) {
    Handle<X509, X509_free> certificate(next);
    if (!made->leaf_) {
      made->leaf_ = std::move(certificate);
    } else if (X509_cmp(made->leaf_.get(), certificate.get()) != 0) {
      // Some clients refuse a chain in which the certificate itself comes a second time.
      made->others_.push_back(std::move(certificate));
    }
  }
  // The end of the text is an error to OpenSSL, and the only one that is none.
  const auto last = ERR_peek_last_error();
  if (last != 0 && ERR_GET_REASON(last) != PEM_R_NO_START_LINE)
    return bad("a certificate in it cannot be read: " + openssl_says());
  ERR_clear_error();
  if (!made->leaf_) return bad("there is no certificate in it (\"-----BEGIN CERTIFICATE-----\")");
  in = memory(pem);
  made->key_ = Handle<EVP_PKEY, EVP_PKEY_free>(
      PEM_read_bio_PrivateKey(in.get(), nullptr, no_pass_phrase, nullptr));
  if (!made->key_)
    return bad("there is no private key without a pass phrase in it: " + openssl_says());
  if (X509_check_private_key(made->leaf_.get(), made->key_.get()) != 1) {
    ERR_clear_error();
    return bad("its key belongs to another certificate than the first one in it");
  }
  made->names_ = dns_names(made->leaf_.get());
  if (made->names_.empty()) return bad("the certificate names no host (subjectAltName)");
  made->not_after_ = time_of(X509_get0_notAfter(made->leaf_.get()));
  made->ocsp_ = std::move(ocsp);
  return std::shared_ptr<const Certificate>(std::move(made));
}

bool Certificate::use_for(SSL* ssl) const {
  // All of these count references: nothing is copied.
  if (SSL_use_certificate(ssl, leaf_.get()) != 1 || SSL_use_PrivateKey(ssl, key_.get()) != 1)
    return false;
  SSL_clear_chain_certs(ssl);
  for (const auto& other : others_)
    if (SSL_add1_chain_cert(ssl, other.get()) != 1) return false;
  return true;
}

CertificateSet::CertificateSet(const std::vector<Shared>& all, Shared fallback)
    : fallback_(std::move(fallback)) {
  for (const auto& certificate : all) {
    for (const auto& name : certificate->names()) {
      auto& known = by_name_[name];
      if (!known || known->not_after() < certificate->not_after()) known = certificate;
    }
  }
}

CertificateSet::Shared CertificateSet::find(std::string_view name) const {
  const auto lower = text::lower(name);
  if (const auto found = by_name_.find(lower); found != by_name_.end()) return found->second;
  const auto dot = lower.find('.');
  if (dot != std::string::npos) {
    if (const auto found = by_name_.find("*" + lower.substr(dot)); found != by_name_.end())
      return found->second;
  }
  return fallback_;
}

}  // namespace karreg::proxy::tls
