#pragma once

#include "reverse-proxy/visitor.hpp"

namespace karreg::proxy {

/// Ends the watch for a leaving visitor whatever happens.
class Watch {
 public:
  explicit Watch(Visitor& visitor) : visitor_(visitor) {}
  ~Watch() { visitor_.watch_for_leaving(nullptr); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  Visitor& visitor_;
};

}  // namespace karreg::proxy
