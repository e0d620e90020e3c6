#include "common/ids.hpp"

#include <openssl/rand.h>

#include <array>
#include <cstdint>
#include <stdexcept>

namespace karreg::ids {

namespace {
void fill_random(unsigned char* data, std::size_t size) {
  if (RAND_bytes(data, static_cast<int>(size)) != 1)
    throw std::runtime_error("the system's random generator gave no bytes");
}
constexpr std::string_view hex_digits = "0123456789abcdef";
}  // namespace

std::string uuid() {
  std::array<unsigned char, 16> b{};
  fill_random(b.data(), b.size());
  b[6] = static_cast<unsigned char>((b[6] & 0x0fU) | 0x40U);
  b[8] = static_cast<unsigned char>((b[8] & 0x3fU) | 0x80U);
  std::string text;
  text.reserve(36);
  for (std::size_t i = 0; i < b.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += hex_digits[b[i] >> 4U];
    text += hex_digits[b[i] & 0x0fU];
  }
  return text;
}

std::string make(std::string_view prefix) {
  return std::string(prefix) + uuid();
}

bool is(std::string_view prefix, std::string_view id) {
  if (!id.starts_with(prefix)) return false;
  id.remove_prefix(prefix.size());
  if (id.size() != 36) return false;
  for (std::size_t i = 0; i < id.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? id[i] != '-' : hex_digits.find(id[i]) == std::string_view::npos) return false;
  }
  return id[14] >= '1' && id[14] <= '5' &&
         std::string_view("89ab").find(id[19]) != std::string_view::npos;
}

std::string random_token(std::size_t bytes) {
  // Letters and digits only: a token that begins with a dash would be read as an option by command
  // lines.
  static constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  constexpr unsigned fair = 256 - 256 % alphabet.size();
  const std::size_t length = (bytes * 8 + 4) * 100 / 595;  // log2(62) = 5.954 bits a character
  std::string text;
  std::array<unsigned char, 64> raw{};
  while (text.size() < length) {
    fill_random(raw.data(), raw.size());
    for (unsigned char c : raw)
      if (c < fair && text.size() < length) text += alphabet[c % alphabet.size()];
  }
  return text;
}

}  // namespace karreg::ids
