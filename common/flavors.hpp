#pragma once
/// Sizes of VMs. The names are a fixed list that existing client software knows.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace karreg {

struct Flavor {
  std::string_view name;
  std::int64_t memory_mb;
  int vcpus;
};

/// Smallest first.
inline constexpr std::array<Flavor, 9> flavors = {{{"pico", 256, 1},
                                                   {"nano", 512, 1},
                                                   {"XS", 1024, 1},
                                                   {"S", 2048, 2},
                                                   {"M", 4096, 4},
                                                   {"L", 8192, 6},
                                                   {"XL", 16384, 8},
                                                   {"2XL", 24576, 12},
                                                   {"3XL", 32768, 16}}};

/// The flavor called @p name; nothing when there is none.
constexpr std::optional<Flavor> find_flavor(std::string_view name) {
  for (const auto& flavor : flavors)
    if (flavor.name == name) return flavor;
  return std::nullopt;
}

}  // namespace karreg
