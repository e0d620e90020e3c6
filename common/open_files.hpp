#pragma once

#include <cstddef>

namespace karreg {

/// How many connections of @p wanted this process can hold, each with at most @p files_each open
/// files: running out of them in the middle would lose requests. Raises the limit of open files as
/// far as the system allows, and says in the log when that is not enough. @p others: further files
/// that there may be, besides a usual number.
std::size_t possible_connections(std::size_t wanted, std::size_t files_each,
                                 std::size_t others = 0);

}  // namespace karreg
