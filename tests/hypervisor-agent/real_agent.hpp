#pragma once
// karreg-agent as a real process with real QEMU, for one test: its settings, its desired state in a
// file, its reports and log lines read from what it prints. Blocking; every wait has a deadline.

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/wire/catalogue.hpp"
#include "common/wire/host.hpp"
#include "common/wire/logs.hpp"
#include "support.hpp"

namespace karreg::test {

/// A platform's folders without the platform. Links the images to where QEMU's user can read them.
class RealAgent {
 public:
  RealAgent();
  RealAgent(const RealAgent&) = delete;
  RealAgent& operator=(const RealAgent&) = delete;
  /// Ends everything, VMs included.
  ~RealAgent();

  void start();
  /// kill -9: what runs goes on.
  void kill();
  /// SIGTERM, and waits for the end.
  void stop();
  /// `karreg-agent purge`: what it printed. The agent must not run.
  std::string purge();
  void desire(const std::vector<wire::VmSpec>& vms);

  /// The newest report of this process or the one before; nothing yet: an empty one.
  wire::HostReport report() const;
  std::optional<wire::VmStatus> status(const std::string& instance_id) const;
  /// The status, once @p holds of it, within 90 s. The test fails with @p what and the agent's log
  /// otherwise.
  wire::VmStatus wait_for(const std::string& instance_id, const std::string& what,
                          const std::function<bool(const wire::VmStatus&)>& holds) const;
  /// Waits until the newest report of the present process has no such instance.
  void wait_until_gone(const std::string& instance_id) const;
  /// Lines of a service of an instance, those of workers after their name in brackets.
  std::vector<std::string> lines(const std::string& instance_id, const std::string& service) const;

  /// The platform's data folder.
  const std::string& data() const { return data_; }
  /// A run VM of the static image with an artifact of @p files (name, content) under /app.
  wire::VmSpec static_site(const std::string& instance_id);
  /// A run VM of the static image whose app is a shell command.
  wire::VmSpec shell_app(const std::string& instance_id, const std::string& command);
  /// A job VM of the static image.
  wire::VmSpec job(const std::string& instance_id, const std::string& command);
  /// A build VM of the static image, its disks made.
  wire::VmSpec build(const std::string& instance_id, std::vector<wire::guest::BuildStep> steps);
  std::string build_folder(const std::string& build_id) const;

  /// Processes of @p program ("qemu-system", "passt") that serve this agent.
  std::vector<pid_t> processes(const std::string& program) const;
  /// Paths under the agent's folder of VMs and sockets.
  std::vector<std::string> remains() const;
  std::string state_dir() const { return data_ + "/agent"; }
  std::string log() const;

 private:
  std::string artifact(const std::string& content);
  std::vector<std::string> printed() const;

  TempFolder folder_;
  std::string data_;
  std::string images_;
  wire::Catalogue catalogue_;
  pid_t pid_ = -1;
  std::uint64_t generation_ = 0;
  std::size_t seen_ = 0;  ///< lines that earlier processes printed
};

/// GET http://@p address@p path: status and body; nothing when there is no answer within 10 s.
std::optional<std::pair<int, std::string>> get(const std::string& address, const std::string& path);

/// Waits until @p holds, at most @p limit; the test fails with @p what otherwise.
void eventually(const std::string& what, const std::function<bool()>& holds,
                std::chrono::seconds limit = std::chrono::seconds(30));

}  // namespace karreg::test
