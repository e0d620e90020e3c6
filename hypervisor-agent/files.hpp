#pragma once
/// What a VM has on disk: <state>/vms/<instance>/, its sockets, and the shared files it is attached
/// to.
///
/// Nothing here is synced to the platter: a machine that goes down takes its VMs along.

#include <map>
#include <optional>
#include <string>

#include "common/error.hpp"
#include "common/wire/host.hpp"
#include "hypervisor-agent/converge.hpp"
#include "hypervisor-agent/settings.hpp"

namespace karreg::agent {

/// Paths of one VM. Sockets lie apart under short names, since their paths are bounded.
struct VmFiles {
  VmFiles(const Settings& settings, const std::string& instance_id);
  std::string folder;
  std::string sockets;  ///< prefix of what follows
  std::string spec() const { return folder + "/spec.json"; }
  std::string record() const { return folder + "/record.json"; }
  std::string overlay() const { return folder + "/scratch.qcow2"; }
  std::string console() const { return folder + "/console.log"; }
  std::string channel() const { return sockets + ".guest"; }
  std::string network() const { return sockets + ".net"; }
  std::string network_pid() const { return sockets + ".pid"; }
};

/// What an agent that starts again must know of a VM, beside its specification.
struct Record {
  std::int64_t accepted_ms = 0;  ///< since the epoch
  bool over = false;             ///< its end is in @c status
  wire::VmStatus status;
  bool pongs = false;  ///< its guest answers `ping`: one that hangs cannot say so again
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Record, accepted_ms, over, status, pongs)
};

/// The folders under <state> that VMs need. Error `internal` with the path.
Result<void> make_folders(const Settings& settings);
/// The folder of the embedded libvirt driver, and the short link to it where the settings have one.
/// Error `conflict` when that name belongs to somebody else.
Result<void> make_libvirt_root(const Settings& settings);
/// Removes the short link.
void remove_libvirt_link(const Settings& settings);
/// Creates a folder, readable by QEMU's user. Error `internal` with the path.
Result<void> make_folder(const Settings& settings, const std::string& folder);
/// Gives @p path to QEMU's user when we are root.
Result<void> give_to_qemu(const Settings& settings, const std::string& path);
/// Error `forbidden`, with the way out, when QEMU's user cannot read @p path. Changes the
/// file-system identity of the calling thread for the time of the call.
Result<void> check_readable_by_qemu(const Settings& settings, const std::string& path);
/// Writes a file by rename, so that a reader sees all of it or the old one.
Result<void> write_atomically(const std::string& path, const std::string& content);
Result<std::string> read_whole(const std::string& path);
/// The end of a file, at most @p bytes, lossily as text; empty when there is none.
std::string read_tail(const std::string& path, std::size_t bytes);
/// Empties a file that outgrew @p limit: what a guest writes to its console has no other bound.
void bound_file(const std::string& path, std::uintmax_t limit);

/// The instances that have a folder, and what it says.
std::map<std::string, Books> read_books(const Settings& settings);
Result<wire::VmSpec> read_spec(const VmFiles& files);
Result<Record> read_record(const VmFiles& files);
/// Removes what only a running VM needs: overlay and sockets.
void remove_remains(const VmFiles& files);
/// Removes everything of a VM.
void remove_all(const VmFiles& files);

/// The blob of @p digest, in the image store or fetched. Error `not_found` that says which part is
/// missing.
Result<std::string> blob_path(const Settings& settings, const std::string& digest,
                              const std::string& what);
/// In the data folder, or else where it was fetched to.
std::string artifact_path(const Settings& settings, const std::string& digest);
/// Where what came from the platform's store lies: <state>/fetched/<digest>.
std::string fetched_path(const Settings& settings, const std::string& digest);
std::string build_folder(const Settings& settings, const std::string& build_id);
std::string cache_path(const Settings& settings, const std::string& app_id);

}  // namespace karreg::agent
