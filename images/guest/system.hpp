#pragma once
/// The machine as PID 1 sees it: mounts, disks, network, clock.

#include <cstdint>
#include <string>
#include <string_view>

#include "common/wire/guest.hpp"
#include "images/guest/image_config.hpp"

namespace karreg::guest {

/// Throws std::runtime_error "@p what: <errno text>".
[[noreturn]] void fail(const std::string& what);

/// /proc, /sys and /dev, before anything else; and the kernel's modules that lie in the initrd, in
/// the order of /modules/order.
void mount_early();
/// Path of the virtio disk with @p serial, e.g. "/dev/vdb"; throws when there is none.
std::string disk(std::string_view serial);
/// Puts the root together (image below, scratch above), mounts what the VM kind needs, and makes it
/// "/". @p kind: "run", "build" or "job".
void enter_root(std::string_view kind);
/// lo, eth0, default route, /etc/resolv.conf, /etc/hosts, host name.
void configure_network(const wire::guest::Network& network, const std::string& hostname);
void set_clock(std::int64_t time_ns);
/// Sets the clock when it is off by more than a second.
void follow_clock(std::int64_t time_ns);
std::int64_t wall_time_ns();
std::int64_t uptime_ms();
/// Whole content of a small file; empty when it cannot be read.
std::string read_file(const std::string& path);
void write_file(const std::string& path, std::string_view content);
/// How many processes the kernel killed for want of memory.
std::uint64_t oom_kills();
/// Mounts the dependency cache at /cache, for the app's user; false when its disk holds no file
/// system that can be read.
bool mount_cache();
/// Makes /cache a folder that dies with the VM.
void cache_on_scratch();
/// Writes the dependency cache to its disk and lets go of it: the only disk whose content outlives
/// the VM, apart from the output disk.
void release_cache();
/// Ends the VM at once. What the scratch disk holds is lost, as it shall be.
[[noreturn]] void power_off();

}  // namespace karreg::guest
