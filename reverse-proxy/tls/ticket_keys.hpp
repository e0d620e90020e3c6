#pragma once
/// Keys that session tickets are sealed with (RFC 5077 §4): all workers have the same, so that a
/// visitor who comes back resumes at any of them, and they change, so that what one key gave away
/// is of a day.

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

namespace karreg::proxy::tls {

struct TicketKey {
  std::array<std::uint8_t, 16> name{};
  std::array<std::uint8_t, 32> cipher{};  ///< AES-256-CBC
  std::array<std::uint8_t, 32> mac{};     ///< HMAC-SHA-256
  std::chrono::steady_clock::time_point made;
};

/// Any thread.
class TicketKeys {
 public:
  static constexpr std::chrono::hours new_after{8};
  static constexpr std::chrono::hours gone_after{24};

  /// The key for a new ticket; made when the last one is old.
  TicketKey newest(std::chrono::steady_clock::time_point now);
  struct Found {
    TicketKey key;
    bool newest = true;  ///< else the visitor should get a new ticket
  };
  /// Nothing: it is not ours, or too old.
  std::optional<Found> find(const std::uint8_t* name, std::chrono::steady_clock::time_point now);

 private:
  void turn_over(std::chrono::steady_clock::time_point now);

  std::mutex mutex_;
  std::vector<TicketKey> keys_;  ///< newest first
};

}  // namespace karreg::proxy::tls
