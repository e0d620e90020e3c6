#pragma once
/// What a VM has on disk: <state>/vms/<instance>/, and the shared files it is attached to.

#include <string>

#include "common/error.hpp"
#include "common/wire/host.hpp"
#include "hypervisor-agent/settings.hpp"

namespace karreg::agent {

/// Paths of one VM's folder.
struct VmFiles {
  explicit VmFiles(const Settings& settings, const std::string& instance_id)
      : folder(settings.state_dir + "/vms/" + instance_id) {}
  std::string folder;
  std::string spec() const { return folder + "/spec.json"; }
  std::string address() const { return folder + "/address"; }
  std::string overlay() const { return folder + "/scratch.qcow2"; }
  std::string channel() const { return folder + "/channel"; }
  std::string console() const { return folder + "/console.log"; }
  std::string network() const { return folder + "/net"; }
  std::string network_pid() const { return folder + "/net.pid"; }
};

/// Creates the folder, readable by QEMU's user. Error `internal` with the path.
Result<void> make_folder(const Settings& settings, const std::string& folder);
/// Gives @p path to QEMU's user when we are root.
Result<void> give_to_qemu(const Settings& settings, const std::string& path);
/// Writes a file by rename, so that a reader sees all of it or the old one.
Result<void> write_atomically(const std::string& path, const std::string& content);
Result<std::string> read_whole(const std::string& path);
/// The blob of @p digest in the image store. Error `not_found` that says which part is missing.
Result<std::string> blob_path(const Settings& settings, const std::string& digest,
                              const std::string& what);
std::string artifact_path(const Settings& settings, const std::string& digest);
std::string build_folder(const Settings& settings, const std::string& build_id);
std::string cache_path(const Settings& settings, const std::string& app_id);

}  // namespace karreg::agent
