#include "common/crypto/certificate.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <stdexcept>

#include "common/text.hpp"

namespace karreg::crypto {

namespace {

using Memory = Handle<BIO, BIO_free_all>;

constexpr std::string_view name_characters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.*";

Error bad(std::string why) {
  return {ErrorKind::invalid, std::move(why)};
}

Memory reading(std::string_view text) {
  return Memory(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Memory writing() {
  Memory out(BIO_new(BIO_s_mem()));
  if (!out) throw std::bad_alloc();
  return out;
}

std::string text_of(const Memory& out) {
  char* text = nullptr;
  const auto size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

/// OpenSSL refuses only when it has no memory or our own wish makes no sense.
void must(bool done) {
  if (!done) throw std::runtime_error("OpenSSL: " + openssl_error());
}

/// A key with a pass phrase would ask for it on the terminal.
int no_pass_phrase(char*, int, int, void*) {
  return 0;
}

Seconds time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return Seconds(std::chrono::seconds(::timegm(&parts)));
}

std::string day_of(Seconds time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 40> text{};
  const auto n = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M UTC", &parts);
  return {text.data(), n};
}

/// "DNS:a,DNS:b", or with another prefix.
std::string listed(std::span<const std::string> names, std::string_view prefix) {
  std::string list;
  for (const auto& name : names) {
    // Anything else would be more than a name to OpenSSL, which reads a list here.
    if (name.empty() || name.find_first_not_of(name_characters) != std::string::npos)
      throw std::invalid_argument("\"" + name + "\" is no DNS name");
    if (!list.empty()) list += ',';
    list.append(prefix).append(name);
  }
  return list;
}

void add_extension(X509* certificate, X509V3_CTX* context, int nid, const std::string& value) {
  const Handle<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509V3_EXT_conf_nid(nullptr, context, nid, value.c_str()));
  must(extension && X509_add_ext(certificate, extension.get(), -1) == 1);
}

/// RFC 8737 §3: critical, an OCTET STRING within the extension's own.
void add_acme_identifier(X509* certificate, const std::string& digest) {
  std::string octets = "\x04";
  octets += static_cast<char>(digest.size());
  octets += digest;
  const Handle<ASN1_OBJECT, ASN1_OBJECT_free> identifier(OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1));
  const Handle<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free> value(ASN1_OCTET_STRING_new());
  must(identifier && value &&
       ASN1_OCTET_STRING_set(value.get(), reinterpret_cast<const unsigned char*>(octets.data()),
                             static_cast<int>(octets.size())) == 1);
  const Handle<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509_EXTENSION_create_by_OBJ(nullptr, identifier.get(), 1, value.get()));
  must(extension && X509_add_ext(certificate, extension.get(), -1) == 1);
}

void set_name(X509_NAME* name, const std::string& common_name) {
  // RFC 5280, ub-common-name.
  const auto text = common_name.substr(0, 64);
  must(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                  reinterpret_cast<const unsigned char*>(text.data()),
                                  static_cast<int>(text.size()), -1, 0) == 1);
}

}  // namespace

std::string openssl_error() {
  const auto code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown reason";
  std::array<char, 200> text{};
  ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

PrivateKey new_private_key() {
  PrivateKey key(EVP_EC_gen("P-256"));
  must(key != nullptr);
  return key;
}

std::string to_pem(const PrivateKey& key) {
  const auto out = writing();
  must(PEM_write_bio_PKCS8PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) ==
       1);
  return text_of(out);
}

std::string to_pem(const X509& certificate) {
  const auto out = writing();
  must(PEM_write_bio_X509(out.get(), &certificate) == 1);
  return text_of(out);
}

Result<PrivateKey> read_private_key(std::string_view pem) {
  ERR_clear_error();
  const auto in = reading(pem);
  PrivateKey key(PEM_read_bio_PrivateKey(in.get(), nullptr, no_pass_phrase, nullptr));
  if (!key) return bad("there is no private key without a pass phrase in it: " + openssl_error());
  return key;
}

Result<std::vector<X509Certificate>> read_certificates(std::string_view pem) {
  ERR_clear_error();
  std::vector<X509Certificate> all;
  const auto in = reading(pem);
  while (X509* next = PEM_read_bio_X509(in.get(), nullptr, no_pass_phrase, nullptr))
    all.emplace_back(next);
  // The end of the text is an error to OpenSSL, and the only one that is none.
  const auto last = ERR_peek_last_error();
  if (last != 0 && ERR_GET_REASON(last) != PEM_R_NO_START_LINE)
    return bad("a certificate in it cannot be read: " + openssl_error());
  ERR_clear_error();
  if (all.empty()) return bad("there is no certificate in it (\"-----BEGIN CERTIFICATE-----\")");
  return all;
}

std::vector<std::string> dns_names(const X509& certificate) {
  std::vector<std::string> result;
  const Handle<GENERAL_NAMES, GENERAL_NAMES_free> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const auto* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS) continue;
    const auto* bytes = reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName));
    const std::string text(bytes, static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    // What has other characters is no name of a host, and might be another one to whoever reads it.
    if (!text.empty() && text.find_first_not_of(name_characters) == std::string::npos)
      result.push_back(text::lower(text));
  }
  return result;
}

Seconds not_before(const X509& certificate) {
  return time_of(X509_get0_notBefore(&certificate));
}

Seconds not_after(const X509& certificate) {
  return time_of(X509_get0_notAfter(&certificate));
}

std::string certificate_request(const PrivateKey& key, std::span<const std::string> names) {
  const Handle<X509_REQ, X509_REQ_free> request(X509_REQ_new());
  must(request && X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1 &&
       X509_REQ_set_pubkey(request.get(), key.get()) == 1);
  const Handle<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, listed(names, "DNS:").c_str()));
  must(extension != nullptr);
  STACK_OF(X509_EXTENSION)* extensions = sk_X509_EXTENSION_new_null();
  const bool added = extensions != nullptr &&
                     sk_X509_EXTENSION_push(extensions, extension.get()) > 0 &&
                     X509_REQ_add_extensions(request.get(), extensions) == 1;
  // The extension itself has its own handle.
  sk_X509_EXTENSION_free(extensions);
  must(added && X509_REQ_sign(request.get(), key.get(), EVP_sha256()) > 0);
  const auto out = writing();
  must(PEM_write_bio_X509_REQ(out.get(), request.get()) == 1);
  return text_of(out);
}

bool covers(std::string_view name, std::string_view host) {
  if (name == host) return true;
  if (!name.starts_with("*.")) return false;
  const auto dot = host.find('.');
  return dot != std::string_view::npos && dot > 0 && host.substr(dot) == name.substr(1);
}

bool covers(std::span<const std::string> names, std::string_view host) {
  return std::ranges::any_of(names, [&](const std::string& name) { return covers(name, host); });
}

Result<ChainFacts> check_chain(std::string_view chain, std::string_view key, Seconds now) {
  auto certificates = read_certificates(chain);
  if (!certificates) return certificates.error().within("the certificate");
  auto private_key = read_private_key(key);
  if (!private_key) return private_key.error().within("the private key");
  const auto& leaf = *certificates->front();
  if (X509_check_private_key(&leaf, private_key->get()) != 1) {
    ERR_clear_error();
    return bad("the private key belongs to another certificate than the first one of the chain");
  }
  ChainFacts facts{dns_names(leaf), not_before(leaf), not_after(leaf)};
  if (facts.names.empty()) return bad("the certificate names no host (subjectAltName)");
  if (facts.not_after <= now)
    return bad("the certificate has expired: it was good until " + day_of(facts.not_after));
  if (facts.not_before > now)
    return bad("the certificate is not good yet: it begins at " + day_of(facts.not_before));
  for (std::size_t i = 1; i < certificates->size(); ++i) {
    if (X509_check_issued((*certificates)[i].get(), (*certificates)[i - 1].get()) == X509_V_OK)
      continue;
    return bad("certificate " + std::to_string(i + 1) +
               " of the chain did not make the one before it: the order is the certificate, then "
               "the one that made it, and so on, each once");
  }
  return facts;
}

X509Certificate make_certificate(const NewCertificate& wish, const PrivateKey& key,
                                 const X509* issuer, const PrivateKey& issuer_key) {
  X509Certificate made(X509_new());
  auto* x509 = made.get();
  must(x509 != nullptr && X509_set_version(x509, X509_VERSION_3) == 1 &&
       X509_set_pubkey(x509, key.get()) == 1);
  // RFC 5280 §4.1.2.2: positive, and unguessable as certificate authorities have it.
  std::array<unsigned char, 16> serial{};
  must(RAND_bytes(serial.data(), static_cast<int>(serial.size())) == 1);
  serial[0] = static_cast<unsigned char>((serial[0] & 0x7fU) | 0x40U);
  const Handle<BIGNUM, BN_free> number(
      BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr));
  must(number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x509)) != nullptr);
  must(ASN1_TIME_set(X509_getm_notBefore(x509), wish.not_before.time_since_epoch().count()) !=
           nullptr &&
       ASN1_TIME_set(X509_getm_notAfter(x509), wish.not_after.time_since_epoch().count()) !=
           nullptr);
  set_name(X509_get_subject_name(x509), wish.subject);
  must(X509_set_issuer_name(x509, issuer == nullptr ? X509_get_subject_name(x509)
                                                    : X509_get_subject_name(issuer)) == 1);
  X509V3_CTX context;  // NOLINT(*-member-init): the next line does
  X509V3_set_ctx(&context, issuer == nullptr ? x509 : const_cast<X509*>(issuer), x509, nullptr,
                 nullptr, 0);
  add_extension(x509, &context, NID_subject_key_identifier, "hash");
  if (wish.authority) {
    add_extension(x509, &context, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    add_extension(x509, &context, NID_key_usage, "critical,keyCertSign,cRLSign");
    if (!wish.confined.empty())
      add_extension(x509, &context, NID_name_constraints,
                    "critical," + listed(wish.confined, "permitted;DNS:"));
  } else {
    add_extension(x509, &context, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(x509, &context, NID_key_usage, "critical,digitalSignature");
    add_extension(x509, &context, NID_ext_key_usage, "serverAuth");
  }
  if (issuer != nullptr) add_extension(x509, &context, NID_authority_key_identifier, "keyid");
  if (!wish.names.empty())
    add_extension(x509, &context, NID_subject_alt_name, listed(wish.names, "DNS:"));
  if (!wish.acme_identifier.empty()) add_acme_identifier(x509, wish.acme_identifier);
  must(X509_sign(x509, issuer_key.get(), EVP_sha256()) > 0);
  return made;
}

}  // namespace karreg::crypto
