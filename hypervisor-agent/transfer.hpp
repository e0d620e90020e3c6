#pragma once
/// One file from the platform's store to this host, blocking.

#include <atomic>
#include <cstdint>
#include <string>

#include "common/error.hpp"
#include "hypervisor-agent/settings.hpp"

namespace karreg::agent {

/// What is fetched, and how far it is; its figures may be read, and @c wanted set, by any thread.
struct Transfer {
  std::string kind;    ///< for people: "artifact", "kernel"
  std::string path;    ///< of its url
  std::string digest;  ///< SHA-256
  std::atomic<std::uint64_t> have{0};
  std::atomic<std::uint64_t> size{0};  ///< 0: not known yet
  std::atomic<bool> wanted{true};      ///< false ends it at the next byte
  /// "fetching the artifact 0123456789ab: 3 of 12 MiB".
  std::string progress() const;
};

/// One attempt to bring @p transfer to fetched_path(), on from where an earlier one was cut, and
/// to verify it. What did come stays for the next attempt. Errors: `unavailable` and `timeout`
/// (no answer, or none for ten seconds; cut; not wanted; what an earlier attempt left was of no
/// use, and is gone): worth another attempt. `not_found`, `forbidden` (the token), `too_large` (no
/// room on the disk), `internal` (a disk that does not write; bytes that are not those of the
/// digest though they came in one piece): not.
Result<void> fetch(const Settings& settings, Transfer& transfer);

/// The catalogue of images for the probe of accelerators, with its kernel and initrd on this host:
/// of the image store here, or else of the platform's store, or else as it was fetched last. Error
/// `not_found`: nobody has one.
Result<std::string> catalogue_for_probe(const Settings& settings);

}  // namespace karreg::agent
