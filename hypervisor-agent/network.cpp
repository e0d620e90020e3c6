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
#include "common/log.hpp"
#include "common/wire/catalogue.hpp"
#include "common/wire/json.hpp"
#include "common/wire/routes.hpp"
#include "hypervisor-agent/egress/room.hpp"

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

wire::guest::Network guest_network(bool confined) {
  wire::guest::Network network{"10.0.2.15", 24, "10.0.2.2", {"10.0.2.3"}};
  if (confined) network.dns.clear();
  return network;
}

bool is_confined(const Settings& settings, const std::string& kind) {
  return kind == "build" && settings.egress != "open";
}

std::map<std::string, std::string> confined_environment() {
  const std::string gateway = guest_network().gateway;
  const std::string port = std::to_string(egress::proxy_port);
  const std::string proxy = "http://" + gateway + ":" + port;
  std::map<std::string, std::string> env;
  for (const char* name : {"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"})
    env[name] = proxy;
  for (const char* name : {"no_proxy", "NO_PROXY"}) env[name] = "localhost,127.0.0.1";
  // Java knows none of these: Maven, Gradle and sbt would try to get out by themselves.
  env["JAVA_TOOL_OPTIONS"] = fmt::format(
      "-Dhttp.proxyHost={0} -Dhttp.proxyPort={1} -Dhttps.proxyHost={0} "
      "-Dhttps.proxyPort={1}",
      gateway, port);
  return env;
}

namespace {

/// What the images were made from is what builds may reach: the catalogue names it.
std::string hosts_for_builds(const Settings& settings) {
  std::string hosts = settings.egress_hosts;
  const auto text = read_whole(settings.images_dir + "/catalogue.json");
  if (!text) return hosts;
  const auto catalogue = wire::from_text<wire::Catalogue>(*text, "catalogue.json");
  if (!catalogue) {
    log::warn("builds may not reach the registries that the images came from",
              {log::field("why", catalogue.error().message())});
    return hosts;
  }
  for (const std::string& host : catalogue->registries) hosts += " " + host;
  return hosts;
}

std::vector<std::string> confined_by_proxy(const Settings& settings, const VmFiles& files,
                                           const std::vector<std::string>& passt) {
  std::error_code unknown;
  // Beside this program, wherever the platform is installed.
  const auto here = std::filesystem::read_symlink("/proc/self/exe", unknown).parent_path();
  std::vector<std::string> argv = {(here / "karreg-egress").string(), "--hosts",
                                   hosts_for_builds(settings), "--pid", files.network_pid()};
  if (::geteuid() == 0) argv.insert(argv.end(), {"--user", settings.qemu_user});
  if (settings.egress_private) argv.emplace_back("--private");
  argv.emplace_back("--");
  argv.insert(argv.end(), passt.begin(), passt.end());
  return argv;
}

}  // namespace

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
                                    const std::string& address, const std::vector<int>& ports,
                                    bool confined) {
  Process::Options options;
  const auto guest = guest_network();
  options.argv = {"passt",
                  "--socket",
                  files.network(),
                  "--pid",
                  files.network_pid(),
                  "--quiet",
                  "--ipv4-only",
                  "--address",
                  guest.address,
                  "--netmask",
                  std::to_string(guest.prefix),
                  "--gateway",
                  guest.gateway,
                  "--no-dhcp",
                  "--udp-ports",
                  address.empty() ? "none" : fmt::format("{}/{}", address, wire::tcp_service_port),
                  "--tcp-ports",
                  address.empty() ? "none" : fmt::format("{}/{}", address, fmt::join(ports, ",")),
                  "--one-off"};
  // The guest's gateway address must not lead to services on the host's loopback. In a network of
  // its own the only one there is the proxy.
  if (!confined)
    options.argv.insert(options.argv.end(), {"--no-map-gw", "--dns-forward", guest.dns.front()});
  if (::geteuid() == 0) options.argv.insert(options.argv.end(), {"--runas", settings.qemu_user});
  if (confined) options.argv = confined_by_proxy(settings, files, options.argv);
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
