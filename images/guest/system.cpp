#include "images/guest/system.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/if_ether.h>
#include <netpacket/packet.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <tuple>

namespace karreg::guest {

namespace fs = std::filesystem;

void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

namespace {

/// A message may be on its way for long on a busy host: steps for less would make it worse.
constexpr std::int64_t max_clock_error_ns = 1'000'000'000;

void mount_at(const char* source, const std::string& target, const char* type, unsigned long flags,
              const char* options = nullptr) {
  fs::create_directories(target);
  if (::mount(source, target.c_str(), type, flags, options) != 0)
    fail(std::string("mounting ") + source + " on " + target);
}

void own_by_app(const std::string& path) {
  if (::chown(path.c_str(), app_uid, app_gid) != 0) fail("chown " + path);
}

/// `volatile`: fsync does nothing, for the scratch disk below dies with the VM.
void overlay(const std::string& lower, const std::string& name, const std::string& target,
             bool for_app) {
  const std::string upper = "/rw/" + name;
  const std::string work = "/rw/" + name + ".work";
  fs::create_directories(upper);
  fs::create_directories(work);
  if (for_app) own_by_app(upper);
  const std::string options =
      "lowerdir=" + lower + ",upperdir=" + upper + ",workdir=" + work + ",xino=off,volatile";
  mount_at("overlay", target, "overlay", MS_NOATIME, options.c_str());
}

sockaddr address(const std::string& text) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  if (::inet_pton(AF_INET, text.c_str(), &in.sin_addr) != 1)
    throw std::runtime_error("not an IPv4 address: " + text);
  sockaddr generic{};
  std::memcpy(&generic, &in, sizeof in);
  return generic;
}

std::string netmask(int prefix) {
  const std::uint32_t bits = prefix <= 0 ? 0 : ~0U << static_cast<unsigned>(32 - prefix);
  in_addr mask{htonl(bits)};
  char text[INET_ADDRSTRLEN];
  return ::inet_ntop(AF_INET, &mask, text, sizeof text);
}

void bring_up(int socket, const char* name, const std::string& ip, const std::string& mask) {
  ifreq request{};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_addr = address(ip);
  if (::ioctl(socket, SIOCSIFADDR, &request) != 0) fail(std::string("address of ") + name);
  request.ifr_netmask = address(mask);
  if (::ioctl(socket, SIOCSIFNETMASK, &request) != 0) fail(std::string("netmask of ") + name);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (::ioctl(socket, SIOCSIFFLAGS, &request) != 0) fail(std::string("starting ") + name);
}

void default_route(int socket, const std::string& gateway) {
  rtentry route{};
  route.rt_dst = address("0.0.0.0");
  route.rt_genmask = address("0.0.0.0");
  route.rt_gateway = address(gateway);
  route.rt_flags = RTF_UP | RTF_GATEWAY;
  if (::ioctl(socket, SIOCADDRT, &route) != 0) fail("default route by " + gateway);
}

/// Says once to everybody on @p name's wire whose @p ip is (an ARP announcement, RFC 5227). passt
/// learns the guest's hardware address from its first frame and sends to all stations until then,
/// which TCP ignores: the first visitor of an app that listens before it ever speaks would wait for
/// 10 s.
void announce(const char* name, const std::string& ip) {
  const int socket = ::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) fail("socket for the announcement");
  ifreq request{};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (::ioctl(socket, SIOCGIFHWADDR, &request) != 0)
    fail(std::string("hardware address of ") + name);
  ether_arp arp{};
  arp.arp_hrd = htons(ARPHRD_ETHER);
  arp.arp_pro = htons(ETHERTYPE_IP);
  arp.arp_hln = ETH_ALEN;
  arp.arp_pln = sizeof(in_addr);
  arp.arp_op = htons(ARPOP_REQUEST);
  std::memcpy(arp.arp_sha, request.ifr_hwaddr.sa_data, ETH_ALEN);
  ::inet_pton(AF_INET, ip.c_str(), arp.arp_spa);
  std::memcpy(arp.arp_tpa, arp.arp_spa, sizeof arp.arp_tpa);
  sockaddr_ll everybody{};
  everybody.sll_family = AF_PACKET;
  everybody.sll_protocol = htons(ETHERTYPE_ARP);
  everybody.sll_ifindex = static_cast<int>(::if_nametoindex(name));
  everybody.sll_halen = ETH_ALEN;
  std::memset(everybody.sll_addr, 0xff, ETH_ALEN);
  if (::sendto(socket, &arp, sizeof arp, 0, reinterpret_cast<const sockaddr*>(&everybody),
               sizeof everybody) < 0)
    fail(std::string("announcing the address of ") + name);
  ::close(socket);
}

/// Debian's kernel has its drivers as modules; ours knows no modules, and its initrd has none. They
/// lie in the initrd's memory, which they are not to keep.
void load_modules() {
  const std::string folder = "/modules/";
  std::istringstream order(read_file(folder + "order"));
  for (std::string name; std::getline(order, name);) {
    const int fd = ::open((folder + name).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail("opening the kernel's module " + name);
    if (::syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST)
      fail("loading the kernel's module " + name);
    ::close(fd);
  }
  fs::remove_all(folder);
}

}  // namespace

void mount_early() {
  mount_at("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC);
  mount_at("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC);
  // The kernel may have mounted it already (CONFIG_DEVTMPFS_MOUNT is for real roots only).
  fs::create_directories("/dev");
  if (::mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755") != 0 && errno != EBUSY)
    fail("mounting /dev");
  load_modules();
}

std::string disk(std::string_view serial) {
  for (const auto& entry : fs::directory_iterator("/sys/block")) {
    std::string found = read_file(entry.path() / "serial");
    found.erase(found.find_last_not_of(" \n") + 1);
    if (found == serial) return "/dev/" + entry.path().filename().string();
  }
  throw std::runtime_error("no disk with serial " + std::string(serial));
}

void enter_root(std::string_view kind) {
  namespace serial = wire::guest::disk;
  mount_at(disk(serial::image).c_str(), "/image", "erofs", MS_RDONLY | MS_NOATIME);
  mount_at(disk(serial::scratch).c_str(), "/rw", "ext4", MS_NOATIME);
  const std::string root = "/root-fs";
  if (kind != "build")
    mount_at(disk(serial::artifact).c_str(), "/artifact", "erofs", MS_RDONLY | MS_NOATIME);
  // Nothing of the runtime's image is needed in an app that brings its own.
  const bool own_root =
      kind != "build" && fs::exists(std::string("/artifact") + wire::guest::image_config_file);
  overlay(own_root ? "/artifact" : "/image", "root", root, false);
  if (own_root) {
    fs::create_directories(root + "/etc");
  } else if (kind != "build") {
    overlay("/artifact", "app", root + "/app", true);
  } else {
    fs::create_directories(root + "/app");
    own_by_app(root + "/app");
  }
  for (const char* moved : {"/proc", "/sys", "/dev"}) {
    fs::create_directories(root + moved);
    if (::mount(moved, (root + moved).c_str(), nullptr, MS_MOVE, nullptr) != 0)
      fail(std::string("moving ") + moved);
  }
  // What udev makes elsewhere; `cat <(...)` and `tee /dev/stderr` need them.
  for (const auto& [name, target] : {std::pair{"fd", "/proc/self/fd"},
                                     {"stdin", "/proc/self/fd/0"},
                                     {"stdout", "/proc/self/fd/1"},
                                     {"stderr", "/proc/self/fd/2"}})
    fs::create_symlink(target, root + "/dev/" + name);
  mount_at("devpts", root + "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666");
  mount_at("tmpfs", root + "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
  mount_at("tmpfs", root + "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
  fs::create_directories(root + "/tmp");
  ::chmod((root + "/tmp").c_str(), 01777);
  if (::chdir(root.c_str()) != 0) fail("entering the root");
  if (::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0) fail("moving the root");
  if (::chroot(".") != 0 || ::chdir("/") != 0) fail("changing the root");
}

void configure_network(const wire::guest::Network& network, const std::string& hostname) {
  if (::sethostname(hostname.c_str(), hostname.size()) != 0) fail("setting the host name");
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) fail("network socket");
  bring_up(socket, "lo", "127.0.0.1", "255.0.0.0");
  if (!network.address.empty()) {
    bring_up(socket, "eth0", network.address, netmask(network.prefix));
    if (!network.gateway.empty()) default_route(socket, network.gateway);
    announce("eth0", network.address);
  }
  ::close(socket);
  std::string resolv;
  for (const auto& server : network.dns) resolv += "nameserver " + server + "\n";
  write_file("/etc/resolv.conf", resolv);
  write_file("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n" +
                               (network.address.empty() ? "127.0.1.1" : network.address) + " " +
                               hostname + "\n");
  write_file("/etc/hostname", hostname + "\n");
}

namespace {
bool step_clock(std::int64_t time_ns) {
  const timespec time{time_ns / 1'000'000'000, time_ns % 1'000'000'000};
  return time_ns <= 0 || ::clock_settime(CLOCK_REALTIME, &time) == 0;
}
}  // namespace

void set_clock(std::int64_t time_ns) {
  if (!step_clock(time_ns)) fail("setting the clock");
}

void follow_clock(std::int64_t time_ns) {
  // A clock that the kernel refuses (of a host that is back in 1970) is no reason to end the app.
  if (std::abs(time_ns - wall_time_ns()) > max_clock_error_ns) std::ignore = step_clock(time_ns);
}

std::int64_t wall_time_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

std::int64_t uptime_ms() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return time.tv_sec * 1000LL + time.tv_nsec / 1'000'000;
}

std::string read_file(const std::string& path) {
  std::string content;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return content;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(fd, buffer, sizeof buffer)) > 0;)
    content.append(buffer, static_cast<std::size_t>(n));
  ::close(fd);
  return content;
}

void write_file(const std::string& path, std::string_view content) {
  // The image may hold a link there (resolv.conf of a resolver we do not run).
  ::unlink(path.c_str());
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) fail("writing " + path);
  const bool written =
      ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  ::close(fd);
  if (!written) fail("writing " + path);
}

std::uint64_t oom_kills() {
  const std::string stat = read_file("/proc/vmstat");
  const auto at = stat.find("oom_kill ");
  return at == std::string::npos ? 0 : std::strtoull(stat.c_str() + at + 9, nullptr, 10);
}

bool mount_cache() {
  const std::string device = disk(wire::guest::disk::cache);
  if (::mount(device.c_str(), "/cache", "ext4", MS_NOATIME, nullptr) != 0) return false;
  own_by_app("/cache");
  return true;
}

void cache_on_scratch() {
  fs::create_directories("/cache");
  own_by_app("/cache");
}

void release_cache() {
  // Whoever still holds it was killed; if not, at least its content is on the disk.
  const int fd = ::open("/cache", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) {
    ::syncfs(fd);
    ::close(fd);
  }
  ::umount2("/cache", MNT_DETACH);
}

void power_off() {
  // The kernel is booted with reboot=t and QEMU ends the VM on a reset: faster than ACPI, and it
  // works on both accelerators.
  ::reboot(RB_AUTOBOOT);
  for (;;) ::pause();
}

}  // namespace karreg::guest
