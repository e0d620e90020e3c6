#pragma once
/// Which accelerator VMs use: decided by booting our own kernel under each, never by the existence
/// of /dev/kvm.

#include <string>

#include "common/async/asio.hpp"
#include "common/error.hpp"
#include "common/wire/catalogue.hpp"
#include "hypervisor-agent/settings.hpp"

namespace karreg::agent {

struct Verdict {
  bool kvm = false;
  std::string
      detail;  ///< the figures, for people: "tcg boots in 1320 ms; kvm did not boot within 5000 ms"
};

/// The remembered verdict of this machine and kernel, or a fresh probe (some seconds). A setting
/// other than `auto` is obeyed without a probe.
awaitable<Result<Verdict>> choose_accelerator(const Settings& settings, wire::Catalogue catalogue);

}  // namespace karreg::agent
