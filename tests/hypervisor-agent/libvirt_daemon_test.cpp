// The wrapper over a daemon of libvirt that dies: a real libvirtd of its own, with the test driver.
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <thread>

#include "common/descriptor.hpp"
#include "hypervisor-agent/libvirt.hpp"
#include "support.hpp"

using namespace karreg;
using namespace karreg::agent;
using namespace std::chrono_literals;

namespace {
/// Whether somebody listens at @p path: the file is there before.
bool takes_connections(const std::string& path) {
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  if (path.size() >= sizeof at.sun_path) throw std::runtime_error("too long for a socket: " + path);
  path.copy(static_cast<char*>(at.sun_path), path.size());
  const Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
}

class Libvirtd {
 public:
  explicit Libvirtd(const std::string& folder) : folder_(folder) {
    std::filesystem::create_directories(folder + "/no-drivers");
    test::write(folder + "/conf", "unix_sock_dir = \"" + folder +
                                      "\"\nauth_unix_rw = \"none\"\nauth_unix_ro = \"none\"\n");
    start();
  }
  Libvirtd(const Libvirtd&) = delete;
  Libvirtd& operator=(const Libvirtd&) = delete;
  ~Libvirtd() { kill(); }

  void start() {
    const std::string socket = folder_ + "/libvirt-sock";
    std::filesystem::remove(socket);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      // Of the drivers it has only the built-in one, and touches nothing of the machine.
      ::setenv("LIBVIRT_DRIVER_DIR", (folder_ + "/no-drivers").c_str(), 1);
      const std::string conf = folder_ + "/conf";
      const std::string pid_file = folder_ + "/pid";
      ::execl("/usr/sbin/libvirtd", "libvirtd", "--config", conf.c_str(), "--pid-file",
              pid_file.c_str(), nullptr);
      ::_exit(127);
    }
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (!takes_connections(socket)) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      REQUIRE(::waitpid(pid_, nullptr, WNOHANG) == 0);
      std::this_thread::sleep_for(10ms);
    }
  }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  std::string uri() const { return "test+unix:///default?socket=" + folder_ + "/libvirt-sock"; }

 private:
  std::string folder_;
  pid_t pid_ = -1;
};
}  // namespace

TEST_CASE("a daemon of libvirt that was away is found again", "[agent]") {
  if (::access("/usr/sbin/libvirtd", X_OK) != 0)
    FAIL("there is no /usr/sbin/libvirtd: install libvirt-daemon");
  // As our daemons do (common/async/run.cpp): libvirt writes to the socket of one that has died.
  ::signal(SIGPIPE, SIG_IGN);
  test::TempFolder folder;
  Libvirtd daemon(folder.path());
  auto hypervisor = Hypervisor::connect(daemon.uri(), "nobody");
  REQUIRE(hypervisor);
  const std::vector<std::string> all = {"test"};  // of the test driver's default world
  CHECK(*(*hypervisor)->running() == all);
  daemon.kill();
  const auto away = (*hypervisor)->running();
  REQUIRE_FALSE(away);
  CHECK(away.error().kind() == ErrorKind::unavailable);
  // Nobody can say that it is gone while nobody can be asked.
  CHECK_FALSE((*hypervisor)->is_running("nobody"));
  CHECK_FALSE((*hypervisor)->destroy("nobody"));
  daemon.start();
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  auto back = (*hypervisor)->running();
  while (!back && std::chrono::steady_clock::now() < deadline) back = (*hypervisor)->running();
  REQUIRE(back);
  CHECK(*back == all);
  CHECK_FALSE(*(*hypervisor)->is_running("nobody"));
}
