#include "builder/disk_space.hpp"

namespace karreg::builder {

Room room_for(const DiskSpace& space) {
  if (space.kept + space.promised + space.wanted <= space.free) return Room::enough;
  return space.others > 0 ? Room::later : Room::never;
}

}  // namespace karreg::builder
