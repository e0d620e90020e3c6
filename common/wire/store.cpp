#include "common/wire/store.hpp"

#include <algorithm>
#include <fstream>

namespace karreg::wire::store {

Result<std::string> read_token(const std::string& file, const std::string& setting) {
  constexpr std::size_t shortest = 32;
  constexpr std::size_t longest = 200;
  const std::string where = "the file " + file + " (setting " + setting + ")";
  std::ifstream in(file);
  std::string token;
  if (!in)
    return Error(ErrorKind::not_found,
                 where +
                     " cannot be read; it holds the token that agents show to the store: "
                     "`openssl rand -hex 32` makes one");
  std::getline(in, token);
  const bool visible = std::ranges::all_of(token, [](char c) { return c > ' ' && c <= '~'; });
  if (token.size() < shortest || token.size() > longest || !visible)
    return Error(ErrorKind::invalid, where +
                                         " must hold one line of 32 to 200 letters, digits and "
                                         "signs: `openssl rand -hex 32` makes one");
  return token;
}

bool is_digest(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace karreg::wire::store
