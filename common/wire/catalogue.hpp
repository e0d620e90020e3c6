#pragma once
/// The image catalogue: what karreg-images makes, and the agent, builder and scheduler read
/// (docs/contracts.md §5).

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/json.hpp"

namespace karreg::wire {

/// One file of the image store, `<images_dir>/blobs/<digest>`.
struct Blob {
  std::string digest;  ///< SHA-256, lower-case hexadecimal, of the file
  std::int64_t bytes = 0;
  std::string version;  ///< for people: "6.1.192", "karreg-init 1", ...
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Blob, digest, bytes, version)
};

/// One runtime: the image that apps run on, the one they are built on, and what is inside.
struct Runtime {
  Blob run;
  Blob build;
  std::map<std::string, std::string> versions;  ///< tool -> version, e.g. "node" -> "18.20.4"
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Runtime, run, build, versions)
};

/// `<images_dir>/catalogue.json`, replaced atomically.
struct Catalogue {
  int format = 1;
  Blob kernel;                              ///< uncompressed ELF vmlinux with a PVH note
  Blob initrd;                              ///< cpio with karreg-init as /init
  Blob scratch_run;                         ///< empty ext4 template, sparse raw
  Blob scratch_build;                       ///< the same, larger
  Blob cache_template;                      ///< empty ext4 for an app's dependency cache
  std::map<std::string, Runtime> runtimes;  ///< "node", "python", "static", "cpp"
  /// Hosts of the registries that the images came from; builds may reach them, too.
  std::vector<std::string> registries;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Catalogue, format, kernel, initrd, scratch_run,
                                              scratch_build, cache_template, runtimes, registries)
};

}  // namespace karreg::wire
