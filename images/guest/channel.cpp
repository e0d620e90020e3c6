#include "images/guest/channel.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "images/guest/system.hpp"

namespace karreg::guest {

namespace {
/// More than this is not kept for an agent that does not read: logs wait in their own bounded
/// buffer.
constexpr std::size_t max_output = std::size_t{1024} * 1024;

/// The host names a port some moments after its driver is there, which is late when the driver is a
/// module.
constexpr std::chrono::seconds port_time{10};
constexpr std::chrono::milliseconds port_tick{1};

std::string find_port() {
  const std::filesystem::path ports = "/sys/class/virtio-ports";
  const auto until = std::chrono::steady_clock::now() + port_time;
  do {
    std::error_code none_yet;
    for (const auto& entry : std::filesystem::directory_iterator(ports, none_yet)) {
      const std::string name = read_file(entry.path() / "name");
      const std::string device = "/dev/" + entry.path().filename().string();
      if (name.starts_with(wire::guest::port_name)) return device;
    }
    std::this_thread::sleep_for(port_tick);
  } while (std::chrono::steady_clock::now() < until);
  throw std::runtime_error(std::string("no virtio port named ") + wire::guest::port_name);
}
}  // namespace

Channel::Channel() : fd_(::open(find_port().c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC)) {
  if (fd_ < 0) fail("opening the port to the agent");
}

short Channel::wanted_events() const {
  return static_cast<short>(POLLIN | (out_.empty() ? 0 : POLLOUT));
}

void Channel::pump() {
  char buffer[16UL * 1024];
  connected_ = true;
  for (;;) {
    const ssize_t n = ::read(fd_, buffer, sizeof buffer);
    if (n > 0) {
      in_.append(buffer, static_cast<std::size_t>(n));
      continue;
    }
    // End of file and not "try again": nobody holds the other end.
    if (n == 0) connected_ = false;
    break;
  }
  while (connected_ && !out_.empty()) {
    const ssize_t n = ::write(fd_, out_.data(), std::min(out_.size(), std::size_t{32} * 1024));
    if (n <= 0) break;
    out_.erase(0, static_cast<std::size_t>(n));
  }
  if (out_.size() > max_output) discard_output();
}

std::optional<wire::guest::ToGuest> Channel::receive() {
  for (;;) {
    const auto newline = in_.find('\n');
    const bool whole = newline != std::string::npos;
    if ((whole ? newline : in_.size()) > wire::guest::max_line_bytes) {
      // What comes up to the next newline is the rest of it, and no message.
      overflowed_ = true;
      in_.erase(0, whole ? newline + 1 : in_.size());
      continue;
    }
    if (!whole) return std::nullopt;
    const std::string line = in_.substr(0, newline);
    in_.erase(0, newline + 1);
    if (auto message = wire::guest::decode<wire::guest::ToGuest>(line)) return message;
  }
}

void Channel::discard_output() {
  out_ = "\n";
}

}  // namespace karreg::guest
