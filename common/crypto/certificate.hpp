#pragma once
/// X.509 certificates (RFC 5280) over OpenSSL: keys, requests, and what a chain says.

#include <openssl/x509.h>

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/error.hpp"
#include "common/handle.hpp"

namespace karreg::crypto {

using PrivateKey = Handle<EVP_PKEY, EVP_PKEY_free>;
using X509Certificate = Handle<X509, X509_free>;
using Seconds = std::chrono::time_point<std::chrono::system_clock, std::chrono::seconds>;

/// What went wrong in OpenSSL on this thread, which forgets it.
std::string openssl_error();

/// A new key on the curve P-256.
PrivateKey new_private_key();
/// PKCS #8, PEM, without a pass phrase.
std::string to_pem(const PrivateKey& key);
std::string to_pem(const X509& certificate);
/// Error `invalid`: there is no private key without a pass phrase in @p pem.
Result<PrivateKey> read_private_key(std::string_view pem);
/// The certificates in @p pem, in order; what else is in it is passed over. Error `invalid`: there
/// is none, or one cannot be read.
Result<std::vector<X509Certificate>> read_certificates(std::string_view pem);

/// DNS names of the subjectAltName, in lower case: "a.example.com", "*.example.com".
std::vector<std::string> dns_names(const X509& certificate);
Seconds not_before(const X509& certificate);
Seconds not_after(const X509& certificate);

/// A certificate request (PKCS #10, PEM) for @p names, signed with @p key.
std::string certificate_request(const PrivateKey& key, std::span<const std::string> names);

/// Whether @p name (of a certificate, maybe "*.domain") covers @p host: "*." stands for one label
/// (RFC 6125 §6.4.3). Both in lower case.
bool covers(std::string_view name, std::string_view host);
bool covers(std::span<const std::string> names, std::string_view host);

/// What people and the scheduler have to know of a chain.
struct ChainFacts {
  std::vector<std::string> names;
  Seconds not_before;
  Seconds not_after;
};
/// Checks that the first certificate of @p chain is the one of @p key, that it names hosts, that
/// each further one made the one before it, and that it holds at @p now. Error `invalid` in words
/// for whoever brought them.
Result<ChainFacts> check_chain(std::string_view chain, std::string_view key, Seconds now);

/// What a new certificate says.
struct NewCertificate {
  std::string subject;             ///< common name
  std::vector<std::string> names;  ///< subjectAltName; empty: it has none
  Seconds not_before;
  Seconds not_after;
  bool authority = false;             ///< may make certificates, but no further authorities
  std::vector<std::string> confined;  ///< an authority: only for names under these domains
  std::string acme_identifier;        ///< raw digest of RFC 8737 §3; empty: none
};
/// A certificate for @p key made by @p issuer with @p issuer_key; nullptr: it signs itself.
X509Certificate make_certificate(const NewCertificate& wish, const PrivateKey& key,
                                 const X509* issuer, const PrivateKey& issuer_key);

}  // namespace karreg::crypto
