#pragma once
/// Which ports of TCP services are to be open. Pure.
///
/// Each serving process says which ones its routes need. A port stays open while any of them needs
/// it; and what those needed that have ended, or let another one serve, stays open until one that
/// is there has spoken: it may still be reading its routes.

#include <cstdint>
#include <map>
#include <set>

#include "common/json.hpp"

namespace karreg::proxy {

class PortWishes {
 public:
  using Process = int;  ///< as in succession.hpp
  using Ports = std::set<std::uint16_t>;

  /// @p process needs @p ports, and no others any more. Of one that is gone nothing is heard.
  void needs(Process process, Ports ports);
  /// @p process has ended, or another one serves in its place.
  void gone(Process process);

  /// All that are to be open.
  Ports all() const;
  /// Those that @p process needs; none when it is gone.
  Ports of(Process process) const;
  /// Those that are not gone and have spoken.
  std::set<Process> speakers() const;

  nlohmann::json state() const;
  /// Throws nlohmann::json::exception for what state() did not make.
  static PortWishes adopt(const nlohmann::json& state);

 private:
  std::map<Process, Ports> wishes_;
  std::set<Process> gone_;  ///< a few bytes for each process that there ever was
};

}  // namespace karreg::proxy
