#pragma once
/// What a serving process gets from the master: open descriptors, named on its command line.

#include <string>
#include <vector>

#include "common/error.hpp"

namespace karreg::proxy {

struct Inheritance {
  int line = -1;           ///< to the master (master/line.hpp)
  int number = 1;          ///< of the process, counted by the master
  std::vector<int> plain;  ///< listeners of proxy.listen, at least one for each worker
  std::vector<int> tls;    ///< of proxy.tls_listen, likewise, or none
  int admin = -1;          ///< listener of proxy.admin_listen
};

/// As text for a command line.
std::string to_text(const Inheritance& inheritance);
/// Error `invalid` for what to_text() did not make.
Result<Inheritance> read_inheritance(const std::string& text);

}  // namespace karreg::proxy
