#include "hypervisor-agent/libvirt.hpp"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "common/handle.hpp"
#include "common/log.hpp"

namespace karreg::agent {

namespace {

constexpr const char* qemu_path = "/usr/bin/qemu-system-x86_64";

using Connection = Handle<virConnect, virConnectClose>;
using Domain = Handle<virDomain, virDomainFree>;

/// libvirt's last error of this thread; must be called right after the failing call.
Error last_error(const std::string& doing) {
  const virError* error = virGetLastError();
  const bool absent = error != nullptr && error->code == VIR_ERR_NO_DOMAIN;
  return Error(absent ? ErrorKind::not_found : ErrorKind::unavailable,
               doing + ": " +
                   (error != nullptr && error->message != nullptr ? error->message
                                                                  : "unknown libvirt error"));
}

void quiet(void*, virErrorPtr) {}

/// libvirt's event loop, needed by an embedded driver before the first connection; lives as long as
/// the program.
void start_event_loop() {
  static std::once_flag once;
  std::call_once(once, [] {
    virInitialize();
    virSetErrorFunc(nullptr, quiet);
    virEventRegisterDefaultImpl();
    std::thread([] {
      for (;;)
        if (virEventRunDefaultImpl() < 0)
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }).detach();
  });
}

Result<void> write_embed_config(const std::string& root, const std::string& qemu_user) {
  std::error_code ec;
  std::filesystem::create_directories(root + "/etc", ec);
  std::ofstream file(root + "/etc/qemu.conf");
  if (::geteuid() == 0) file << "user = \"" << qemu_user << "\"\ngroup = \"" << qemu_user << "\"\n";
  // Files are given their owner by the agent: libvirt would chown images that VMs share.
  file << "security_driver = \"none\"\ndynamic_ownership = 0\nremember_owner = 0\n"
          "cgroup_controllers = []\nnamespaces = []\nseccomp_sandbox = 1\nstdio_handler = "
          "\"file\"\n";
  file.close();
  if (!file) return Error(ErrorKind::internal, "cannot write " + root + "/etc/qemu.conf");
  return ok();
}

Result<Connection> connect_to(const std::string& uri) {
  Connection connection(virConnectOpen(uri.c_str()));
  if (!connection) return last_error("connecting to libvirt at " + uri);
  return connection;
}

class LibvirtHypervisor final : public Hypervisor {
 public:
  LibvirtHypervisor(std::string uri, Connection connection)
      : uri_(std::move(uri)), connection_(std::move(connection)) {}

  void warm_up(bool kvm) override {
    auto to = connection();
    char* text = !to ? nullptr
                     : virConnectGetDomainCapabilities(to->get(), qemu_path, "x86_64", "pc",
                                                       kvm ? "kvm" : "qemu", 0);
    if (text == nullptr)
      log::warn(
          "libvirt cannot tell what QEMU can do",
          {log::field("why", to ? last_error("capabilities").message() : to.error().message())});
    std::free(text);  // NOLINT: malloc'd by libvirt
  }

  Result<void> start(const std::string& xml) override {
    auto to = connection();
    if (!to) return to.error();
    const Domain domain(virDomainCreateXML(to->get(), xml.c_str(), 0));
    if (!domain) return last_error("starting the VM");
    return ok();
  }

  Result<std::vector<std::string>> running() override {
    return names(VIR_CONNECT_LIST_DOMAINS_ACTIVE, [](virDomainPtr) { return true; });
  }

  Result<std::vector<std::string>> halted() override {
    return names(VIR_CONNECT_LIST_DOMAINS_PAUSED, is_halted);
  }

  Result<bool> is_running(const std::string& name) override {
    auto to = connection();
    if (!to) return to.error();
    const Domain domain(virDomainLookupByName(to->get(), name.c_str()));
    if (!domain) {
      Error error = last_error("looking up " + name);
      if (error.kind() == ErrorKind::not_found) return false;
      return error;
    }
    return virDomainIsActive(domain.get()) == 1;
  }

  Result<void> resume(const std::string& name) override {
    auto to = connection();
    if (!to) return to.error();
    const Domain domain(virDomainLookupByName(to->get(), name.c_str()));
    if (!domain || virDomainResume(domain.get()) != 0) return last_error("resuming " + name);
    return ok();
  }

  Result<void> destroy(const std::string& name) override {
    auto to = connection();
    if (!to) return to.error();
    const Domain domain(virDomainLookupByName(to->get(), name.c_str()));
    if (!domain) {
      Error error = last_error("looking up " + name);
      if (error.kind() == ErrorKind::not_found) return ok();
      return error;
    }
    if (virDomainDestroyFlags(domain.get(), VIR_DOMAIN_DESTROY_DEFAULT) == 0) return ok();
    Error error = last_error("ending " + name);
    // It may have ended by itself meanwhile.
    auto still = is_running(name);
    if (still && !*still) return ok();
    return error;
  }

 private:
  using Shared = std::shared_ptr<virConnect>;

  /// The connection, opened anew when libvirt's daemon went away: it has the VMs when it is back.
  /// Calls of other threads that still use the old one fail and free it.
  Result<Shared> connection() {
    const std::lock_guard lock(mutex_);
    if (virConnectIsAlive(connection_.get()) == 1) return connection_;
    auto opened = connect_to(uri_);
    if (!opened) return opened.error();
    connection_ = std::move(*opened);
    log::info("connected to libvirt again", {log::field("uri", uri_)});
    return connection_;
  }

  static bool is_halted(virDomainPtr domain) {
    int state = 0;
    int reason = 0;
    return virDomainGetState(domain, &state, &reason, 0) == 0 && state == VIR_DOMAIN_PAUSED &&
           reason == VIR_DOMAIN_PAUSED_IOERROR;
  }

  /// Names of domains that libvirt lists with @p flags and of which @p holds is true.
  Result<std::vector<std::string>> names(unsigned int flags, bool (*holds)(virDomainPtr)) {
    auto to = connection();
    if (!to) return to.error();
    virDomainPtr* list = nullptr;
    const int n = virConnectListAllDomains(to->get(), &list, flags);
    if (n < 0) return last_error("listing VMs");
    std::vector<std::string> result;
    for (int i = 0; i < n; ++i) {
      const Domain domain(list[i]);
      if (holds(domain.get())) result.emplace_back(virDomainGetName(domain.get()));
    }
    std::free(list);  // NOLINT: libvirt allocates the array with malloc and gives it to us
    return result;
  }

  std::string uri_;
  std::mutex mutex_;
  Shared connection_;
};

}  // namespace

Result<std::unique_ptr<Hypervisor>> Hypervisor::connect(const std::string& uri,
                                                        const std::string& qemu_user) {
  start_event_loop();
  const std::string embedded = "qemu:///embed?root=";
  if (uri.starts_with(embedded)) {
    auto written = write_embed_config(uri.substr(embedded.size()), qemu_user);
    if (!written) return written.error();
  }
  auto connection = connect_to(uri);
  if (!connection) return connection.error();
  return std::unique_ptr<Hypervisor>(new LibvirtHypervisor(uri, std::move(*connection)));
}

}  // namespace karreg::agent
