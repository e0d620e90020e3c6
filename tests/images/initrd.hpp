#pragma once

#include <string>

namespace karreg::test {

/// An initramfs (cpio "newc", Documentation/driver-api/early-userspace/buffer-format.rst) with
/// @p init as /init and a /dev/console for it.
std::string initrd_of(const std::string& init);

}  // namespace karreg::test
