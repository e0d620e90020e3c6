#pragma once
/// Whether a build may begin, from the disk space that is free and what other builds may still
/// take of it: a VM that meets a full disk loses what it writes, the VMs of running apps too, so
/// nothing is begun that could fill it. Pure.

#include <cstdint>

namespace karreg::builder {

/// Bytes, of the file system that the data folder is on.
struct DiskSpace {
  std::int64_t free = 0;
  std::int64_t kept = 0;      ///< that no build may take: builder.min_free_bytes
  std::int64_t wanted = 0;    ///< what the build may take at most
  std::int64_t promised = 0;  ///< what those under way may take at most
  int others = 0;             ///< how many are under way
};

enum class Room {
  enough,  ///< the build may begin
  later,   ///< it does not fit beside those under way
  never,   ///< it does not fit, though none is under way
};

/// What builds under way have taken already counts twice, as taken and as promised: nobody knows
/// how much of a VM's disk is still to be written.
Room room_for(const DiskSpace& space);

}  // namespace karreg::builder
