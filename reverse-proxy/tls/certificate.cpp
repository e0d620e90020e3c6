#include "reverse-proxy/tls/certificate.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "common/crypto/certificate.hpp"
#include "common/text.hpp"

namespace karreg::proxy::tls {

namespace {

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

}  // namespace

Result<std::shared_ptr<const Certificate>> Certificate::from_pem(std::string_view pem,
                                                                 std::string ocsp,
                                                                 std::vector<std::string> hosts) {
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
    return bad("a certificate in it cannot be read: " + crypto::openssl_error());
  ERR_clear_error();
  if (!made->leaf_) return bad("there is no certificate in it (\"-----BEGIN CERTIFICATE-----\")");
  in = memory(pem);
  made->key_ = Handle<EVP_PKEY, EVP_PKEY_free>(
      PEM_read_bio_PrivateKey(in.get(), nullptr, no_pass_phrase, nullptr));
  if (!made->key_)
    return bad("there is no private key without a pass phrase in it: " + crypto::openssl_error());
  if (X509_check_private_key(made->leaf_.get(), made->key_.get()) != 1) {
    ERR_clear_error();
    return bad("its key belongs to another certificate than the first one in it");
  }
  made->names_ = crypto::dns_names(*made->leaf_);
  if (made->names_.empty()) return bad("the certificate names no host (subjectAltName)");
  if (!hosts.empty()) made->names_ = std::move(hosts);
  made->not_before_ = crypto::not_before(*made->leaf_);
  made->not_after_ = crypto::not_after(*made->leaf_);
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

Result<std::shared_ptr<const Certificate>> Certificate::for_challenge(const std::string& host,
                                                                      const std::string& digest) {
  std::shared_ptr<Certificate> made(new Certificate());
  made->key_ = crypto::new_private_key();
  crypto::NewCertificate wish;
  wish.subject = host;
  wish.names = {host};
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  wish.not_before = now - std::chrono::hours(1);
  wish.not_after = now + std::chrono::hours(24);
  wish.acme_identifier = digest;
  made->leaf_ = crypto::make_certificate(wish, made->key_, nullptr, made->key_);
  made->names_ = wish.names;
  made->not_before_ = wish.not_before;
  made->not_after_ = wish.not_after;
  return std::shared_ptr<const Certificate>(std::move(made));
}

CertificateSet::CertificateSet(const std::vector<Shared>& all, Shared fallback)
    : fallback_(std::move(fallback)) {
  add(all);
}

CertificateSet::CertificateSet(const CertificateSet& first, const std::vector<Shared>& more)
    : fallback_(first.fallback_) {
  add(more);
  // Before its names are there, too: one of theirs may stand for many of these.
  std::erase_if(by_name_, [&](const auto& one) { return first.has(one.first); });
  by_name_.insert(first.by_name_.begin(), first.by_name_.end());
}

void CertificateSet::add(const std::vector<Shared>& all) {
  const auto now = std::chrono::system_clock::now();
  const auto better = [now](const Certificate& one, const Certificate& other) {
    const bool valid = one.not_before() <= now;
    if (valid != (other.not_before() <= now)) return valid;
    return one.not_after() > other.not_after();
  };
  for (const auto& certificate : all) {
    for (const auto& name : certificate->names()) {
      auto& known = by_name_[name];
      if (!known || better(*certificate, *known)) known = certificate;
    }
  }
}

CertificateSet::Shared CertificateSet::find(std::string_view name) const {
  const auto* found = look_up(text::lower(name));
  return found == nullptr ? fallback_ : *found;
}

const CertificateSet::Shared* CertificateSet::look_up(const std::string& lower) const {
  if (const auto found = by_name_.find(lower); found != by_name_.end()) return &found->second;
  const auto dot = lower.find('.');
  if (dot == std::string::npos) return nullptr;
  const auto found = by_name_.find("*" + lower.substr(dot));
  return found == by_name_.end() ? nullptr : &found->second;
}

}  // namespace karreg::proxy::tls
