#pragma once
/// Names and passwords in requests (RFC 7617). Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace karreg::proxy::rules {

struct Credentials {
  std::string user;
  std::string password;
};

/// What an Authorization field's value says; nothing: it is of another scheme, or nonsense.
std::optional<Credentials> read_basic(std::string_view authorization);

/// Whether @p path is one of @p except: exactly, or below one that ends with '/'. Not when an
/// application might read the path as another one: with "." or ".." between slashes, with an
/// escaped dot, slash, backslash, semicolon or percent sign, or with any of the last three.
bool is_excepted(const std::vector<std::string>& except, std::string_view path);

/// Whether @p password is the one of @p hash, as crypt(5) writes it. Slow on purpose: for a thread
/// that may wait.
bool verify_crypt(const std::string& password, const std::string& hash);

}  // namespace karreg::proxy::rules
