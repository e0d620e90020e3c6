#include "hypervisor-agent/network.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <random>

#include "common/async/process.hpp"
#include "common/wire/routes.hpp"

namespace karreg::agent {

namespace {
bool is_free(const std::string& address, int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(static_cast<std::uint16_t>(port));
  ::inet_pton(AF_INET, address.c_str(), &in.sin_addr);
  const bool free = ::bind(fd, reinterpret_cast<const sockaddr*>(&in), sizeof in) == 0;
  ::close(fd);
  return free;
}

/// passt complains on stderr about every line that it could not give to a syslog.
std::string without_syslog_noise(std::string_view text) {
  std::string rest;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty() || line.starts_with("Failed to send ")) continue;
    rest += rest.empty() ? "" : "; ";
    rest += line;
  }
  return rest;
}
}  // namespace

wire::guest::Network guest_network() {
  return {"10.0.2.15", 24, "10.0.2.2", {"10.0.2.3"}};
}

std::vector<int> inbound_ports(int port) {
  if (port == wire::tcp_service_port) return {port};
  return {port, wire::tcp_service_port};
}

Result<std::string> free_address(const std::string& prefix, const std::vector<int>& ports) {
  std::random_device entropy;
  std::uniform_int_distribution<int> octet(1, 254);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    std::string address = fmt::format("{}.{}.{}", prefix, octet(entropy), octet(entropy));
    if (std::ranges::all_of(ports, [&](int port) { return is_free(address, port); }))
      return address;
  }
  return Error(ErrorKind::unavailable, "no free address under " + prefix + ".0.0");
}

awaitable<Result<void>> start_passt(const Settings& settings, const VmFiles& files,
                                    const std::string& address, const std::vector<int>& ports) {
  Process::Options options;
  const auto guest = guest_network();
  options.argv = {
      "passt", "--socket", files.network(), "--pid", files.network_pid(), "--quiet", "--ipv4-only",
      "--address", guest.address, "--netmask", std::to_string(guest.prefix), "--gateway",
      guest.gateway, "--dns-forward", guest.dns.front(),
      // The guest's gateway address must not lead to services on the host's loopback.
      "--no-map-gw", "--no-dhcp", "--udp-ports",
      address.empty() ? "none" : fmt::format("{}/{}", address, wire::tcp_service_port),
      "--tcp-ports",
      address.empty() ? "none" : fmt::format("{}/{}", address, fmt::join(ports, ",")), "--one-off"};
  if (::geteuid() == 0) options.argv.insert(options.argv.end(), {"--runas", settings.qemu_user});
  options.env = {{"PATH", "/usr/bin:/bin"}};
  options.merge_stderr = true;
  std::error_code ignored;
  std::filesystem::remove(files.network(), ignored);
  auto executor = co_await asio::this_coro::executor;
  auto started = Process::start(executor, options);
  if (!started) co_return started.error();
  Process process = std::move(*started);
  process.close_stdin();
  // passt goes to the background once its socket is bound; its first process then ends.
  const int code = co_await process.wait();
  if (code == 0 && std::filesystem::exists(files.network())) co_return ok();
  std::array<char, 4096> buffer{};
  const std::size_t n = co_await process.read_stdout(buffer);
  const std::string said = without_syslog_noise({buffer.data(), n});
  const bool taken = said.find("Failed to bind") != std::string::npos;
  co_return Error(taken ? ErrorKind::conflict : ErrorKind::unavailable,
                  fmt::format("passt, the network of the VM, ended with {}: {}", code, said));
}

void stop_passt(const VmFiles& files) {
  const auto text = read_whole(files.network_pid());
  if (!text) return;
  const int pid = std::atoi(text->c_str());
  // The number may belong to another process by now: only a passt that serves this VM is ours.
  auto command = read_whole("/proc/" + std::to_string(pid) + "/cmdline");
  if (pid > 1 && command && command->find(files.network()) != std::string::npos)
    ::kill(pid, SIGTERM);
}

}  // namespace karreg::agent
