#include "api/presence.hpp"

#include <random>

namespace karreg::api {

namespace {
std::int64_t any_key() {
  std::random_device entropy;
  return std::uniform_int_distribution<std::int64_t>(1)(entropy);
}
}  // namespace

Presence::Presence(const std::string& database_url) : id_(any_key()), lock_(database_url, id_) {}

Result<void> Presence::hold() {
  auto held = lock_.hold();
  if (!held) return held.error();
  return ok();
}

}  // namespace karreg::api
