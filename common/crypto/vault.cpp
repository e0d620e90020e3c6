#include "common/crypto/vault.hpp"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "common/crypto/digest.hpp"
#include "common/handle.hpp"

namespace karreg::crypto {

namespace {
constexpr std::size_t nonce_size = 12;
constexpr std::size_t tag_size = 16;
using Derivation = Handle<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using Cipher = Handle<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;

unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}
const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
void require(bool succeeded) {
  if (!succeeded) throw std::runtime_error("OpenSSL failed: AES-256-GCM or HKDF");
}

bool is_absent(const std::string& path) {
  return ::access(path.c_str(), F_OK) != 0 && errno == ENOENT;
}

/// Makes the key file unless another process was faster; either way it exists afterwards.
Result<void> create(const std::string& path) {
  std::string key(32, '\0');
  require(RAND_bytes(bytes_of(key), 32) == 1);
  const std::string temporary = path + "." + std::to_string(::getpid());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  auto failed = [&](const char* what) {
    const Error error(ErrorKind::internal, std::string("cannot ") + what + " the key file " + path +
                                               ": " + std::strerror(errno));
    ::unlink(temporary.c_str());
    return error;
  };
  if (fd < 0) return failed("make");
  const std::string text = to_hex(key) + "\n";
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
  ::close(fd);
  if (!written) return failed("write");
  // link() fails when the file exists: the loser of a race uses the winner's key.
  if (::link(temporary.c_str(), path.c_str()) != 0 && errno != EEXIST) return failed("place");
  ::unlink(temporary.c_str());
  return ok();
}
}  // namespace

Result<Vault> Vault::open_or_create(const std::string& key_file) {
  if (is_absent(key_file)) {
    auto created = create(key_file);
    if (!created) return created.error();
  }
  return open_existing(key_file);
}

Result<Vault> Vault::open_existing(const std::string& key_file) {
  if (is_absent(key_file))
    return Error(ErrorKind::not_found,
                 "the key file " + key_file +
                     " (setting secrets.key_file) is missing, and nothing that was sealed opens "
                     "without it: restore it from the backup; for a new platform karreg-api makes "
                     "it when it first starts");
  std::ifstream file;
  // Nothing of it stays in a buffer.
  file.rdbuf()->pubsetbuf(nullptr, 0);
  file.open(key_file);
  std::string text;
  if (!file || !(file >> text))
    return Error(ErrorKind::internal,
                 "cannot read the key file " + key_file + " (setting secrets.key_file)");
  auto key = from_hex(text);
  OPENSSL_cleanse(text.data(), text.size());
  if (!key || key->size() != 32)
    return Error(ErrorKind::invalid,
                 "the key file " + key_file +
                     " (setting secrets.key_file) must hold 64 hexadecimal digits (32 bytes)");
  return Vault(std::move(*key));
}

Vault::~Vault() {
  OPENSSL_cleanse(key_.data(), key_.size());
}

Vault Vault::for_certificates() const {
  static constexpr std::string_view info = "karreg: private keys of certificates";
  const Derivation derivation(EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr));
  std::string derived(key_.size(), '\0');
  auto size = derived.size();
  require(derivation && EVP_PKEY_derive_init(derivation.get()) == 1 &&
          EVP_PKEY_CTX_set_hkdf_md(derivation.get(), EVP_sha256()) == 1 &&
          EVP_PKEY_CTX_set1_hkdf_key(derivation.get(), bytes_of(key_),
                                     static_cast<int>(key_.size())) == 1 &&
          EVP_PKEY_CTX_add1_hkdf_info(derivation.get(), bytes_of(info),
                                      static_cast<int>(info.size())) == 1 &&
          EVP_PKEY_derive(derivation.get(), bytes_of(derived), &size) == 1 &&
          size == derived.size());
  return Vault(std::move(derived));
}

std::string Vault::seal(std::string_view plain, std::string_view context) const {
  std::string out(nonce_size + plain.size() + tag_size, '\0');
  require(RAND_bytes(bytes_of(out), nonce_size) == 1);
  Cipher cipher(EVP_CIPHER_CTX_new());
  int n = 0;
  require(cipher && EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key_),
                                       bytes_of(out)) == 1);
  require(EVP_EncryptUpdate(cipher.get(), nullptr, &n, bytes_of(context),
                            static_cast<int>(context.size())) == 1);
  require(EVP_EncryptUpdate(cipher.get(), bytes_of(out) + nonce_size, &n, bytes_of(plain),
                            static_cast<int>(plain.size())) == 1);
  require(EVP_EncryptFinal_ex(cipher.get(), bytes_of(out) + nonce_size + plain.size(), &n) == 1);
  require(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, tag_size,
                              bytes_of(out) + nonce_size + plain.size()) == 1);
  return base64_encode(out);
}

Result<std::string> Vault::open(std::string_view sealed, std::string_view context) const {
  auto bad = [] {
    return Error(
        ErrorKind::invalid,
        "a sealed value does not open: it was changed, or sealed under another key or name");
  };
  auto raw = base64_decode(sealed);
  if (!raw || raw->size() < nonce_size + tag_size) return bad();
  const std::size_t size = raw->size() - nonce_size - tag_size;
  std::string plain(size, '\0');
  Cipher cipher(EVP_CIPHER_CTX_new());
  int n = 0;
  require(cipher && EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key_),
                                       bytes_of(*raw)) == 1);
  require(EVP_DecryptUpdate(cipher.get(), nullptr, &n, bytes_of(context),
                            static_cast<int>(context.size())) == 1);
  require(EVP_DecryptUpdate(cipher.get(), bytes_of(plain), &n, bytes_of(*raw) + nonce_size,
                            static_cast<int>(size)) == 1);
  require(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, tag_size,
                              bytes_of(*raw) + nonce_size + size) == 1);
  if (EVP_DecryptFinal_ex(cipher.get(), bytes_of(plain) + size, &n) != 1) return bad();
  return plain;
}

}  // namespace karreg::crypto
