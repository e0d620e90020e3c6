#include "common/crypto/digest.hpp"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <vector>

namespace karreg::crypto {

namespace {
const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string text_of(const unsigned char* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

void require(bool succeeded, const char* what) {
  if (!succeeded) throw std::runtime_error(std::string("OpenSSL failed: ") + what);
}

}  // namespace

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  require(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1, "sha256");
}

void Sha256::add(std::string_view bytes) {
  require(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1, "sha256");
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  require(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1, "sha256");
  return to_hex(text_of(digest.data(), size));
}

std::string to_hex(std::string_view bytes) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += digits[byte >> 4U];
    text += digits[byte & 0x0fU];
  }
  return text;
}

Result<std::string> from_hex(std::string_view text) {
  std::string bytes;
  if (text.size() % 2 != 0) return Error(ErrorKind::invalid, "an odd number of hexadecimal digits");
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const std::string pair(text.substr(i, 2));
    if (pair.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
      return Error(ErrorKind::invalid, "\"" + pair + "\" is not hexadecimal");
    bytes += static_cast<char>(std::stoi(pair, nullptr, 16));
  }
  return bytes;
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 digest;
  digest.add(bytes);
  return digest.hex();
}

Result<std::string> sha256_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return Error(errno == ENOENT ? ErrorKind::not_found : ErrorKind::internal,
                 "cannot read " + path + ": " + std::strerror(errno));
  Sha256 digest;
  std::vector<char> buffer(1 << 20U);
  while (file) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    digest.add({buffer.data(), static_cast<std::size_t>(file.gcount())});
  }
  if (!file.eof()) return Error(ErrorKind::internal, "cannot read all of " + path);
  return digest.hex();
}

std::string hmac_sha512(std::string_view key, std::string_view message) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  require(HMAC(EVP_sha512(), key.data(), static_cast<int>(key.size()), bytes_of(message),
               message.size(), digest.data(), &size) != nullptr,
          "hmac");
  return text_of(digest.data(), size);
}

std::string base64_encode(std::string_view bytes) {
  std::vector<unsigned char> out(4 * ((bytes.size() + 2) / 3) + 1);
  const int size = EVP_EncodeBlock(out.data(), bytes_of(bytes), static_cast<int>(bytes.size()));
  return text_of(out.data(), static_cast<std::size_t>(size));
}

Result<std::string> base64_decode(std::string_view text) {
  auto bad = [] { return Error(ErrorKind::invalid, "not valid base64"); };
  if (text.size() % 4 != 0) return bad();
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  if (text.substr(0, text.size() - padding)
          .find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") !=
      std::string_view::npos)
    return bad();
  std::vector<unsigned char> out(text.size() / 4 * 3 + 1);
  const int size = EVP_DecodeBlock(out.data(), bytes_of(text), static_cast<int>(text.size()));
  if (size < 0) return bad();
  return text_of(out.data(), static_cast<std::size_t>(size) - padding);
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace karreg::crypto
