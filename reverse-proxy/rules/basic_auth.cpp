#include "reverse-proxy/rules/basic_auth.hpp"

#include <crypt.h>

#include <algorithm>
#include <array>
#include <memory>

#include "common/crypto/digest.hpp"
#include "common/text.hpp"

namespace karreg::proxy::rules {

namespace {
/// Longer ones are no passwords; and bcrypt looks at 72 bytes.
constexpr std::size_t most_bytes = 512;

bool has_odd_segment(std::string_view path) {
  while (!path.empty()) {
    path.remove_prefix(1);
    const auto segment = path.substr(0, path.find('/'));
    if (segment == "." || segment == "..") return true;
    path.remove_prefix(segment.size());
  }
  return false;
}

bool has_odd_escape(std::string_view path) {
  static constexpr std::array<std::string_view, 5> odd = {"2e", "2f", "5c", "3b", "25"};
  for (auto at = path.find('%'); at != std::string_view::npos; at = path.find('%', at + 1)) {
    const auto digits = path.substr(at + 1, 2);
    const bool is_odd =
        digits.size() < 2 ||
        std::ranges::any_of(
            odd, [&](std::string_view each) { return text::iequals(each, digits); });
    if (is_odd) return true;
  }
  return false;
}
}  // namespace

std::optional<Credentials> read_basic(std::string_view authorization) {
  constexpr std::string_view scheme = "basic ";
  if (authorization.size() < scheme.size() ||
      !text::iequals(authorization.substr(0, scheme.size()), scheme))
    return std::nullopt;
  authorization.remove_prefix(scheme.size());
  while (authorization.starts_with(' ')) authorization.remove_prefix(1);
  const auto pair = crypto::base64_decode(authorization);
  if (!pair || pair->size() > most_bytes || pair->find('\0') != std::string::npos)
    return std::nullopt;
  const auto colon = pair->find(':');
  if (colon == std::string::npos) return std::nullopt;
  return Credentials{pair->substr(0, colon), pair->substr(colon + 1)};
}

bool is_excepted(const std::vector<std::string>& except, std::string_view path) {
  const bool listed = std::ranges::any_of(except, [&](const std::string& each) {
    return each.ends_with('/') ? path.starts_with(each) : path == each;
  });
  return listed && path.find_first_of("\\;") == std::string_view::npos && !has_odd_segment(path) &&
         !has_odd_escape(path);
}

bool verify_crypt(const std::string& password, const std::string& hash) {
  // 32 KiB of state: too much for a stack.
  const auto state = std::make_unique<crypt_data>();
  const char* made = ::crypt_r(password.c_str(), hash.c_str(), state.get());
  return made != nullptr && crypto::equal_in_constant_time(made, hash);
}

}  // namespace karreg::proxy::rules
