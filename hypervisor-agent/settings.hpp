#pragma once

#include <string>
#include <vector>

#include "common/broker/settings.hpp"
#include "common/config.hpp"

namespace karreg::agent {

/// Validated settings of one agent.
struct Settings {
  std::string host_id;
  std::string data_dir;
  std::string state_dir;  ///< <data>/agent
  std::string images_dir;
  std::string libvirt_uri;
  std::string
      libvirt_root;  ///< folder of an embedded driver that the agent chose itself; else empty
  std::string accelerator;  ///< auto, kvm or tcg
  std::int64_t memory_mb = 0;
  int vcpus = 1;
  std::string address_prefix;   ///< "127.64": instances get <prefix>.x.y
  std::string qemu_user;        ///< that QEMU and passt run as, when we are root
  std::string egress;           ///< what builds reach: "hosts", "public" or "open"
  std::string egress_hosts;     ///< patterns, with blanks between them
  bool egress_private = false;  ///< names may lead to addresses that are not public
  std::string ca_file;          ///< certificates that builds trust, too; empty: none
  std::string store_url;        ///< of the platform's store; empty: its folders are shared
  std::string store_token;
  std::int64_t store_keep_mb = 0;  ///< of what was fetched and no VM here boots from
  broker::Address broker;
  std::string log_level;

  /// Whether build VMs can run here: they have disks that the builder makes in the data folder.
  bool shares_data_folder() const { return store_url.empty(); }
  /// libvirt's driver runs inside the agent.
  bool embeds_libvirt() const { return libvirt_uri.starts_with("qemu:///embed?"); }
};

std::vector<Setting> declared_settings();
Result<Settings> read_settings(const Config& config);

}  // namespace karreg::agent
