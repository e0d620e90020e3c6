#include "reverse-proxy/tls/ticket_keys.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <stdexcept>

namespace karreg::proxy::tls {

namespace {
template <std::size_t N>
void fill(std::array<std::uint8_t, N>& bytes) {
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
    throw std::runtime_error("no random bytes");
}
}  // namespace

void TicketKeys::turn_over(std::chrono::steady_clock::time_point now) {
  std::erase_if(keys_, [&](const TicketKey& key) { return now - key.made >= gone_after; });
  if (!keys_.empty() && now - keys_.front().made < new_after) return;
  TicketKey key;
  fill(key.name);
  fill(key.cipher);
  fill(key.mac);
  key.made = now;
  keys_.insert(keys_.begin(), key);
}

TicketKey TicketKeys::newest(std::chrono::steady_clock::time_point now) {
  const std::lock_guard lock(mutex_);
  turn_over(now);
  return keys_.front();
}

std::optional<TicketKeys::Found> TicketKeys::find(const std::uint8_t* name,
                                                  std::chrono::steady_clock::time_point now) {
  const std::lock_guard lock(mutex_);
  turn_over(now);
  for (const auto& key : keys_)
    if (std::equal(key.name.begin(), key.name.end(), name))
      return Found{key, &key == &keys_.front()};
  return std::nullopt;
}

}  // namespace karreg::proxy::tls
