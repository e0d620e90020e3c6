#pragma once
// Builds in real VMs.

#include "images/guest_vm.hpp"

namespace karreg::test {

/// A source archive, a dependency cache and an output disk, and builds with them.
struct Workshop {
  Folder folder;
  std::string source = folder.path / "source.tar";
  std::string cache = folder.path / "cache.qcow2";
  std::string output = folder.path / "output.img";
  std::string cache_format = "qcow2";

  explicit Workshop(const Images& images, int output_mb = 256) {
    shell("qemu-img create -q -f qcow2 -F raw -b " + images.blob(images.catalogue.cache_template) +
          " " + cache);
    shell("truncate -s " + std::to_string(output_mb) + "M " + output);
  }
  void add_source(const std::string& name, const std::string& content) const {
    folder.write("tree/" + name, content);
  }
  void pack_source() const {
    shell("tar --create --file " + source +
          " --owner=0 --group=0 --mtime=@1750000000 --directory " +
          (folder.path / "tree").string() + " .");
  }
  GuestVm::Options vm(const Images& images, const std::string& runtime, int memory_mb = 512) const {
    using Mode = Disk::Mode;
    return {{{"image", images.blob(images.runtime(runtime).build), Mode::read_only},
             {"scratch", images.blob(images.catalogue.scratch_build), Mode::snapshot},
             {"source", source, Mode::read_only},
             {"cache", cache, Mode::writable, cache_format},
             {"output", output, Mode::writable}},
            memory_mb};
  }
  msg::BuildResult build(const Images& images, const std::string& runtime,
                         const msg::Config& config, std::vector<std::string>* logs = nullptr,
                         int memory_mb = 512) const {
    GuestVm guest(images, vm(images, runtime, memory_mb));
    guest.attach();
    guest.send(config);
    auto result = guest.expect<msg::BuildResult>(std::chrono::seconds(300));
    guest.expect_end(std::chrono::seconds(90));
    if (logs != nullptr) *logs = guest.logs();
    return result;
  }
};

}  // namespace karreg::test
