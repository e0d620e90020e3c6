#include "images/guest/build.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "images/guest/run.hpp"
#include "images/guest/system.hpp"

namespace karreg::guest {

namespace {

using wire::guest::BuildResult;
constexpr std::int64_t block = 4096;
constexpr const char* packed = "/packed.erofs";
/// For an empty file system on the disk of the dependency cache.
constexpr std::chrono::seconds cache_time{60};

std::uint64_t device_bytes(int fd) {
  std::uint64_t bytes = 0;
  if (::ioctl(fd, BLKGETSIZE64, &bytes) != 0) fail("looking at the size of a disk");
  return bytes;
}

std::string disk_size(const char* serial) {
  const int fd = ::open(disk(serial).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(std::string("opening the disk ") + serial);
  const std::uint64_t mebibytes = device_bytes(fd) >> 20U;
  ::close(fd);
  return mebibytes % 1024 == 0 ? std::to_string(mebibytes / 1024) + " GiB"
                               : std::to_string(mebibytes) + " MiB";
}

/// ZIP archives, thus Python's wheels, know no time before.
constexpr std::int64_t year_1980 = 315'532'800;

/// Notices that a disk ran full during a step, also when the failing tool has cleaned up behind
/// itself.
class DiskWatch {
 public:
  static constexpr std::chrono::milliseconds interval{250};

  std::chrono::milliseconds look() {
    for (const auto& place : places_)
      if (is_full(place) && !full_before_.contains(place.serial))
        full_ = std::string("no space left on the ") + place.name + " disk (" +
                disk_size(place.serial) + ")";
    return interval;
  }
  /// Which disk is or was full since begin_step(), as a sentence; empty when none.
  const std::string& full() {
    look();
    return full_;
  }
  /// A disk that is full by now did not stop the step that begins.
  void begin_step() {
    full_.clear();
    full_before_.clear();
    for (const auto& place : places_)
      if (is_full(place)) full_before_.insert(place.serial);
  }
  /// Packing needs room for the whole app: a build disk that is full by now does stop it.
  void begin_packing() {
    begin_step();
    full_before_.erase(wire::guest::disk::scratch);
  }

 private:
  struct Place {
    const char* path;
    const char* name;
    const char* serial;
  };
  static constexpr Place places_[] = {
      {"/", "build", wire::guest::disk::scratch},
      {"/cache", "dependency cache", wire::guest::disk::cache},
  };
  static bool is_full(const Place& place) {
    struct statvfs info{};
    return ::statvfs(place.path, &info) == 0 &&
           (info.f_bavail < info.f_blocks / 200 || info.f_favail < 16);
  }

  std::string full_;
  std::set<std::string> full_before_;
};

/// Nothing else takes away what no build uses any more. Below this, a build begins with what it
/// may still use.
bool cache_is_crowded() {
  constexpr std::uint64_t percent = 80;
  const auto over = [](std::uint64_t all, std::uint64_t free) {
    return all > 0 && (all - free) * 100 > all * percent;
  };
  struct statvfs info{};
  return ::statvfs("/cache", &info) == 0 &&
         (over(info.f_blocks, info.f_bfree) || over(info.f_files, info.f_ffree));
}

/// The dependency cache at /cache: what earlier builds left there, or an empty one when that is too
/// much or cannot be read. Without any a build is slower, and that is all.
void open_cache(Supervisor& supervisor) {
  bool mounted = mount_cache();
  if (mounted && !cache_is_crowded()) return;
  supervisor.log(mounted ? "the dependency cache is over 80 % full and is emptied"
                         : "the dependency cache cannot be read and is made anew");
  release_cache();
  Child make;
  make.argv = {"mkfs.ext4", "-q", "-F",        "-m",
               "0",         "-E", "nodiscard", disk(wire::guest::disk::cache)};
  make.env = {{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}};
  make.as_app = false;
  make.out_stream = make.err_stream = "karreg";
  const Ended ended = supervisor.run(make, Clock::now() + cache_time);
  if (ended.good() && mount_cache()) return;
  if (!ended.good()) supervisor.log("mkfs.ext4 " + ended.sentence());
  supervisor.log("there is no dependency cache for this build");
  cache_on_scratch();
}

/// When the source was committed: the archive gives all its files that time. Files of the result
/// carry it, so that equal builds are equal bytes and a new commit has new entity tags.
std::int64_t source_time(const std::string& folder) {
  std::int64_t newest = year_1980;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    struct stat info{};
    if (::lstat(entry.path().c_str(), &info) == 0)
      newest = std::max<std::int64_t>(newest, info.st_mtim.tv_sec);
  }
  return newest;
}

BuildResult failed(const std::string& step, const std::string& reason) {
  return {false, 0, step, reason};
}

/// Writes Debian's certificates of authorities and @p pem into one file; gives its path.
std::string trust_also(const std::string& pem) {
  constexpr const char* bundle = "/etc/karreg-ca.pem";
  write_file(bundle, read_file("/etc/ssl/certs/ca-certificates.crt") + "\n" + pem);
  return bundle;
}

std::map<std::string, std::string> build_environment(const wire::guest::Config& config) {
  auto env = app_environment(config);
  const auto fallback = [&](const char* name, const char* value) { env.emplace(name, value); };
  fallback("npm_config_cache", "/cache/npm");
  fallback("YARN_CACHE_FOLDER", "/cache/yarn");
  fallback("PIP_CACHE_DIR", "/cache/pip");
  fallback("CCACHE_DIR", "/cache/ccache");
  fallback("CCACHE_MAXSIZE", "1G");
  fallback("XDG_CACHE_HOME", "/cache/xdg");
  if (std::filesystem::exists("/usr/bin/ccache")) {
    fallback("CMAKE_C_COMPILER_LAUNCHER", "ccache");
    fallback("CMAKE_CXX_COMPILER_LAUNCHER", "ccache");
  }
  fallback("CI", "true");
  if (!config.build.ca_pem.empty()) {
    const std::string bundle = trust_also(config.build.ca_pem);
    // Each tool has a name of its own for it.
    for (const char* name : {"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT",
                             "NODE_EXTRA_CA_CERTS", "CARGO_HTTP_CAINFO", "GIT_SSL_CAINFO",
                             "DENO_CERT", "HEX_CACERTS_PATH"})
      fallback(name, bundle.c_str());
  }
  return env;
}

/// Copies the packed file to the output disk, padded to whole blocks.
BuildResult copy_out(const std::string& device) {
  const int in = ::open(packed, O_RDONLY | O_CLOEXEC);
  const int out = ::open(device.c_str(), O_WRONLY | O_CLOEXEC);
  if (in < 0 || out < 0) fail("opening the output disk");
  struct stat info{};
  if (::fstat(in, &info) != 0) fail("looking at the packed app");
  const std::uint64_t capacity = device_bytes(out);
  const std::int64_t padded = (info.st_size + block - 1) / block * block;
  if (static_cast<std::uint64_t>(padded) > capacity) {
    ::close(in);
    ::close(out);
    const auto mebibytes = [](auto bytes) { return std::to_string(bytes >> 20U) + " MiB"; };
    return failed("packing the app", "the built app needs " + mebibytes(padded) +
                                         ", artifacts may have " + mebibytes(capacity));
  }
  std::string buffer(1 << 20U, '\0');
  std::int64_t written = 0;
  for (;;) {
    const ssize_t n = ::read(in, buffer.data(), buffer.size());
    if (n < 0) fail("reading the packed app");
    if (n == 0) break;
    for (ssize_t at = 0; at < n;) {
      const ssize_t w = ::write(out, buffer.data() + at, static_cast<std::size_t>(n - at));
      if (w <= 0) fail("writing the output disk");
      at += w;
    }
    written += n;
  }
  const std::string zeros(static_cast<std::size_t>(padded - written), '\0');
  if (!zeros.empty() && ::write(out, zeros.data(), zeros.size()) != padded - written)
    fail("padding the output disk");
  if (::fsync(out) != 0) fail("syncing the output disk");
  ::close(in);
  ::close(out);
  return {true, padded, {}, {}};
}

/// Writes back the dependency cache however the build ends.
struct CacheRelease {
  CacheRelease() = default;
  CacheRelease(const CacheRelease&) = delete;
  CacheRelease& operator=(const CacheRelease&) = delete;
  ~CacheRelease() { release_cache(); }
};

}  // namespace

BuildResult run_build(Supervisor& supervisor, const wire::guest::Config& config) {
  const auto& build = config.build;
  const CacheRelease cache;
  // A tool that does not ask the proxy reaches nobody, and nobody refuses it: it shall know soon.
  // 1, 2 and 4 seconds are waited for an answer.
  write_file("/proc/sys/net/ipv4/tcp_syn_retries", "2");
  DiskWatch disks;
  const auto deadline = Clock::now() + std::chrono::milliseconds(build.wall_ms);
  const auto step_failed = [&](const std::string& name, const Ended& ended) {
    if (ended.stopped) return failed(name, "the build was cancelled");
    if (ended.timed_out)
      return failed(name, "the time limit of " + std::to_string(build.wall_ms / 1000) +
                              " s for a build was reached");
    if (!disks.full().empty()) return failed(name, disks.full());
    return failed(name, "the command " + ended.sentence());
  };

  open_cache(supervisor);
  supervisor.say("building", "unpacking the source");
  Child child;
  child.env = build_environment(config);
  child.out_stream = child.err_stream = "build";
  child.max_processes = build.max_processes;
  const auto watched = [&] {
    return supervisor.run(child, deadline, [&] { return disks.look(); });
  };
  const auto run = [&] {
    disks.begin_step();
    return watched();
  };
  // Unpacked by the app's user, who therefore owns everything and can do no harm.
  const std::string source = disk(wire::guest::disk::source);
  if (::chown(source.c_str(), app_uid, app_gid) != 0) fail("giving the source disk to the app");
  child.argv = {"tar", "--extract", "--file", source, "--directory", build.workdir};
  Ended ended = run();
  if (!ended.good()) return step_failed("unpacking the source", ended);

  const std::string time = std::to_string(source_time(build.workdir));
  // Also makes Python compile modules in a form that does not depend on their times.
  child.env.emplace("SOURCE_DATE_EPOCH", time);
  child.directory = build.workdir;
  for (const auto& step : build.steps) {
    supervisor.say("building", step.name);
    child.argv = {"/bin/bash", "-e", "-o", "pipefail", "-c", step.command};
    child.own_users = step.own_users;
    ended = run();
    if (!ended.good()) return step_failed(step.name, ended);
  }

  supervisor.say("packing");
  const bool archive = std::filesystem::is_regular_file(build.output_root);
  if (!archive && !std::filesystem::is_directory(build.output_root))
    return failed("packing the app",
                  "there is no folder " + build.output_root + " after the build");
  child.as_app = false;
  child.own_users = false;
  child.directory = "/";
  child.argv = {"mkfs.erofs", "-T" + time, "-U", "6b617272-6567-4000-8000-000000000000", "--quiet"};
  if (archive)
    child.argv.emplace_back("--tar=f");
  else
    child.argv.insert(child.argv.end(), {"--force-uid=1000", "--force-gid=1000"});
  child.argv.insert(child.argv.end(), {packed, build.output_root});
  disks.begin_packing();
  ended = watched();
  if (!ended.good()) return step_failed("packing the app", ended);
  return copy_out(disk(wire::guest::disk::output));
}

}  // namespace karreg::guest
