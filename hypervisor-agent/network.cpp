#include "hypervisor-agent/network.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <random>

#include "common/async/process.hpp"

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
}  // namespace

wire::guest::Network guest_network() {
  return {"10.0.2.15", 24, "10.0.2.2", {"10.0.2.3"}};
}

Result<std::string> free_address(const std::string& prefix, int port) {
  std::random_device entropy;
  std::uniform_int_distribution<int> octet(1, 254);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const std::string address = fmt::format("{}.{}.{}", prefix, octet(entropy), octet(entropy));
    if (is_free(address, port)) return address;
  }
  return Error(ErrorKind::unavailable, "no free address under " + prefix + ".0.0");
}

awaitable<Result<void>> start_passt(const Settings& settings, const VmFiles& files,
                                    const std::string& address, int port) {
  Process::Options options;
  const auto guest = guest_network();
  options.argv = {"passt", "--socket", files.network(), "--pid", files.network_pid(), "--quiet",
                  "--ipv4-only", "--address", guest.address, "--netmask",
                  std::to_string(guest.prefix), "--gateway", guest.gateway, "--dns-forward",
                  guest.dns.front(),
                  // The guest's gateway address must not lead to services on the host's loopback.
                  "--no-map-gw", "--no-dhcp", "--tcp-ports",
                  fmt::format("{}/{}:{}", address, port, port), "--udp-ports", "none", "--one-off"};
  if (::geteuid() == 0) {
    const passwd* user = ::getpwnam(settings.qemu_user.c_str());
    if (user == nullptr)
      co_return Error(ErrorKind::invalid, "there is no user " + settings.qemu_user);
    options.argv.insert(options.argv.end(), {"--runas", std::to_string(user->pw_uid)});
  }
  options.env = {{"PATH", "/usr/bin:/bin"}};
  options.merge_stderr = true;
  auto executor = co_await asio::this_coro::executor;
  auto started = Process::start(executor, options);
  if (!started) co_return started.error();
  Process process = std::move(*started);
  process.close_stdin();
  // passt goes to the background once its socket is bound; its first process then ends.
  const int code = co_await process.wait();
  if (code == 0 && std::filesystem::exists(files.network())) co_return ok();
  std::array<char, 2048> said{};
  const std::size_t n = co_await process.read_stdout(said);
  co_return Error(ErrorKind::conflict, fmt::format("passt for {}:{} ended with {}: {}", address,
                                                   port, code, std::string_view(said.data(), n)));
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
