#include "hypervisor-agent/settings.hpp"

#include <unistd.h>

#include <charconv>
#include <thread>

#include "common/crypto/digest.hpp"
#include "common/http/message.hpp"
#include "common/wire/store.hpp"
#include "hypervisor-agent/egress/policy.hpp"

namespace karreg::agent {

namespace {
/// Longest data folder for sockets inside it: sun_path holds 107 characters,
/// "/agent/s/0123456789ab.guest" has 27.
constexpr std::size_t max_data_dir = 80;
/// Longest root of libvirt's embedded driver: it adds
/// "/lib/qemu/domain-12345-karreg-instance_1234/monitor.sock".
constexpr std::size_t max_libvirt_root = 51;

/// @p root, or a short name for it (a symbolic link that is made later) when libvirt's sockets
/// would get too long.
std::string reachable_root(const std::string& root) {
  if (root.size() <= max_libvirt_root) return root;
  return (::geteuid() == 0 ? "/run/karreg-" : "/tmp/karreg-") +
         crypto::sha256_hex(root).substr(0, 12);
}

bool is_loopback_prefix(const std::string& prefix) {
  const std::string net = "127.";
  if (!prefix.starts_with(net)) return false;
  int number = 0;
  const char* end = prefix.data() + prefix.size();
  const auto [rest, ec] = std::from_chars(prefix.data() + net.size(), end, number);
  // 127.0 is where everybody else listens.
  return ec == std::errc() && rest == end && number >= 1 && number <= 255;
}
}  // namespace

std::vector<Setting> declared_settings() {
  // Of every language in the catalogue but Node.js and Debian, whose registries the image store
  // names.
  constexpr const char* package_registries =
      "pypi.org files.pythonhosted.org "
      "packagist.org *.packagist.org "
      "rubygems.org *.rubygems.org "
      "proxy.golang.org sum.golang.org storage.googleapis.com "
      "crates.io *.crates.io "
      "repo.maven.apache.org repo1.maven.org plugins.gradle.org services.gradle.org "
      "hex.pm *.hex.pm "
      "hackage.haskell.org *.haskell.org "
      "cpan.org *.cpan.org *.metacpan.org cpan.metacpan.org "
      "cran.r-project.org cloud.r-project.org *.posit.co "
      "deno.land jsr.io *.jsr.io esm.sh "
      "registry-1.docker.io auth.docker.io production.cloudflare.docker.com "
      "ghcr.io pkg-containers.githubusercontent.com quay.io *.quay.io "
      "github.com github.com:22 codeload.github.com objects.githubusercontent.com "
      "raw.githubusercontent.com";
  std::vector<Setting> all = {
      {"data.dir", "the platform's data folder", "", true},
      {"agent.host_id", "name of this host, unique in the platform", "host-1", false},
      {"agent.images_dir", "the image store made by images/build", "", true},
      {"agent.libvirt_uri",
       "libvirt connection; \"embed\" is the agent's own driver under its state folder", "embed",
       false},
      {"agent.accelerator", "kvm, tcg, or auto: the faster of the two by a probe boot", "auto",
       false},
      {"agent.memory_mb", "memory for VMs, MiB; 0: three quarters of the machine", "0", false},
      {"agent.address_prefix", "first two numbers of the loopback addresses given to instances",
       "127.64", false},
      {"agent.qemu_user", "user that QEMU and passt run as when the agent is root", "libvirt-qemu",
       false},
      {"agent.egress",
       "what builds reach: hosts (those of agent.egress_hosts and the registries that the images "
       "came from), public (whatever has a public address), open (what this machine reaches)",
       "hosts", false},
      {"agent.egress_hosts",
       "names, and *.names, of the hosts that builds reach at ports 443 and 80; one with another "
       "port, git.example.org:8443, at that alone",
       package_registries, false},
      {"agent.egress_private",
       "whether their names may lead to addresses that are not public, such as a mirror of your "
       "own",
       "false", false},
      {"agent.ca_file",
       "PEM file with certificates of authorities that builds trust besides Debian's, such as that "
       "of a mirror; empty: none",
       "", false},
      {"agent.store_url",
       "where karreg-builder serves artifacts and images (its store.listen), http or https: for a "
       "host that does not share the platform's data folder; no builds run on it. Empty: it does",
       "", false},
      {"agent.store_token_file", "file with the token of that store; needed with agent.store_url",
       "", false},
      {"agent.store_keep_mb",
       "MiB of what was fetched to keep on the disk, beyond what the VMs of this host boot from at "
       "present",
       "20480", false},
      {"log.level", "debug, info, warn or error", "info", false},
  };
  for (auto& s : broker::settings()) all.push_back(std::move(s));
  return all;
}

Result<Settings> read_settings(const Config& config) {
  Settings s;
  s.host_id = config.text("agent.host_id");
  if (s.host_id.empty() ||
      s.host_id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos)
    return Error(ErrorKind::invalid, "setting agent.host_id = \"" + s.host_id +
                                         "\" must be lower-case letters, digits and dashes");
  s.data_dir = config.text("data.dir");
  if (!s.data_dir.starts_with('/'))
    return Error(ErrorKind::invalid,
                 "setting data.dir = \"" + s.data_dir + "\" must be an absolute path");
  if (s.data_dir.size() > max_data_dir)
    return Error(ErrorKind::invalid, "setting data.dir = \"" + s.data_dir +
                                         "\" is too long for sockets inside it: " +
                                         std::to_string(max_data_dir) + " characters at the most");
  s.state_dir = s.data_dir + "/agent";
  s.images_dir = config.text("agent.images_dir");
  s.libvirt_uri = config.text("agent.libvirt_uri");
  if (s.libvirt_uri == "embed") {
    s.libvirt_root = s.state_dir + "/libvirt";
    s.libvirt_uri = "qemu:///embed?root=" + reachable_root(s.libvirt_root);
  }
  s.accelerator = config.text("agent.accelerator");
  if (s.accelerator != "auto" && s.accelerator != "kvm" && s.accelerator != "tcg")
    return Error(ErrorKind::invalid,
                 "setting agent.accelerator = \"" + s.accelerator + "\" must be auto, kvm or tcg");
  auto memory = config.number("agent.memory_mb", 0, 64L * 1024 * 1024);
  if (!memory) return memory.error();
  const std::int64_t machine = static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES)) *
                               ::sysconf(_SC_PAGESIZE) / (1024L * 1024);
  s.memory_mb = *memory > 0 ? *memory : machine * 3 / 4;
  s.vcpus = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  s.address_prefix = config.text("agent.address_prefix");
  if (!is_loopback_prefix(s.address_prefix))
    return Error(ErrorKind::invalid, "setting agent.address_prefix = \"" + s.address_prefix +
                                         "\" must be two numbers in 127.0.0.0/8, such as 127.64");
  s.qemu_user = config.text("agent.qemu_user");
  s.egress = config.text("agent.egress");
  if (s.egress != "hosts" && s.egress != "public" && s.egress != "open")
    return Error(ErrorKind::invalid,
                 "setting agent.egress = \"" + s.egress + "\" must be hosts, public or open");
  s.egress_hosts = s.egress == "public" ? "*" : config.text("agent.egress_hosts");
  if (auto policy = egress::Policy::of_hosts(s.egress_hosts); !policy)
    return policy.error().within("setting agent.egress_hosts");
  auto own_network = config.flag("agent.egress_private");
  if (!own_network) return own_network.error();
  s.egress_private = *own_network;
  s.ca_file = config.text("agent.ca_file");
  if (!s.ca_file.empty() && ::access(s.ca_file.c_str(), R_OK) != 0)
    return Error(ErrorKind::invalid,
                 "setting agent.ca_file = \"" + s.ca_file + "\" cannot be read");
  s.store_url = config.text("agent.store_url");
  while (s.store_url.ends_with('/')) s.store_url.pop_back();
  if (!s.store_url.empty()) {
    auto url = http::parse_url(s.store_url);
    if (!url) return url.error().within("setting agent.store_url");
    auto token =
        wire::store::read_token(config.text("agent.store_token_file"), "agent.store_token_file");
    if (!token) return token.error();
    s.store_token = *token;
  }
  auto keep = config.number("agent.store_keep_mb", 0, 1L << 40);
  if (!keep) return keep.error();
  s.store_keep_mb = *keep;
  auto address = broker::address(config);
  if (!address) return address.error();
  s.broker = *address;
  s.log_level = config.text("log.level");
  return s;
}

}  // namespace karreg::agent
