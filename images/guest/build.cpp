#include "images/guest/build.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>

#include "images/guest/run.hpp"
#include "images/guest/system.hpp"

namespace karreg::guest {

namespace {

using wire::guest::BuildResult;
constexpr std::int64_t block = 4096;
constexpr const char* packed = "/packed.erofs";

/// Which disk is full, as a sentence; empty when none is.
std::string full_disk() {
  struct statvfs info{};
  for (const auto& [path, name] :
       {std::pair{"/", "build"}, std::pair{"/cache", "dependency cache"}}) {
    if (::statvfs(path, &info) != 0 || info.f_blocks == 0) continue;
    const auto size = info.f_blocks * info.f_frsize;
    if (info.f_bavail * info.f_frsize < size / 200 || info.f_favail < 16)
      return std::string("no space left on the ") + name + " disk (" + std::to_string(size >> 20U) +
             " MiB)";
  }
  return {};
}

BuildResult failed(const std::string& step, const std::string& reason) {
  return {false, 0, step, reason};
}

std::map<std::string, std::string> build_environment(const wire::guest::Config& config) {
  auto env = app_environment(config);
  const auto fallback = [&](const char* name, const char* value) { env.emplace(name, value); };
  fallback("npm_config_cache", "/cache/npm");
  fallback("YARN_CACHE_FOLDER", "/cache/yarn");
  fallback("PIP_CACHE_DIR", "/cache/pip");
  fallback("CCACHE_DIR", "/cache/ccache");
  fallback("XDG_CACHE_HOME", "/cache/xdg");
  fallback("CI", "true");
  return env;
}

/// Copies the packed file to the output disk; returns its padded size, or -1 when it does not fit.
std::int64_t copy_out(const std::string& device) {
  const int in = ::open(packed, O_RDONLY | O_CLOEXEC);
  const int out = ::open(device.c_str(), O_WRONLY | O_CLOEXEC);
  if (in < 0 || out < 0) fail("opening the output disk");
  struct stat info{};
  std::uint64_t capacity = 0;
  if (::fstat(in, &info) != 0 || ::ioctl(out, BLKGETSIZE64, &capacity) != 0)
    fail("looking at the output disk");
  const std::int64_t padded = (info.st_size + block - 1) / block * block;
  if (static_cast<std::uint64_t>(padded) > capacity) {
    ::close(in);
    ::close(out);
    return -1;
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
  return padded;
}

}  // namespace

BuildResult run_build(Supervisor& supervisor, const wire::guest::Config& config) {
  const auto& build = config.build;
  const auto env = build_environment(config);
  const auto deadline = Clock::now() + std::chrono::milliseconds(build.wall_ms);
  const auto step_failed = [&](const std::string& name, const Ended& ended) {
    if (ended.stopped) return failed(name, "the build was cancelled");
    if (ended.timed_out)
      return failed(name, "the time limit of " + std::to_string(build.wall_ms / 1000) +
                              " s for a build was reached");
    if (const std::string full = full_disk(); !full.empty()) return failed(name, full);
    return failed(name, "the command " + ended.sentence());
  };

  supervisor.say("building", "unpacking the source");
  Child child;
  child.env = env;
  child.out_stream = child.err_stream = "build";
  child.max_processes = build.max_processes;
  // As root to read the disk, unpacked as the app's user by tar's own options: nothing in the
  // archive can choose an owner.
  child.as_app = false;
  child.argv = {"tar",         "--extract",   "--file",          disk(wire::guest::disk::source),
                "--directory", build.workdir, "--no-same-owner", "--no-same-permissions"};
  Ended ended = supervisor.run(child, deadline);
  if (!ended.good()) return step_failed("unpacking the source", ended);
  child.argv = {"chown", "--recursive", "--no-dereference", "1000:1000", build.workdir};
  ended = supervisor.run(child, deadline);
  if (!ended.good()) return step_failed("unpacking the source", ended);

  child.as_app = true;
  child.directory = build.workdir;
  for (const auto& step : build.steps) {
    supervisor.say("building", step.name);
    child.argv = {"/bin/bash", "-e", "-o", "pipefail", "-c", step.command};
    ended = supervisor.run(child, deadline);
    if (!ended.good()) return step_failed(step.name, ended);
  }

  supervisor.say("packing");
  if (!std::filesystem::is_directory(build.output_root))
    return failed("packing the app",
                  "there is no folder " + build.output_root + " after the build");
  child.as_app = false;
  child.directory = "/";
  child.argv = {"mkfs.erofs",
                "-T0",
                "-U",
                "6b617272-6567-4000-8000-000000000000",
                "--force-uid=1000",
                "--force-gid=1000",
                "--quiet",
                packed,
                build.output_root};
  ended = supervisor.run(child, deadline);
  if (!ended.good()) return step_failed("packing the app", ended);
  const std::int64_t bytes = copy_out(disk(wire::guest::disk::output));
  if (bytes < 0)
    return failed("packing the app", "the built app is larger than the limit for artifacts");
  return {true, bytes, {}, {}};
}

}  // namespace karreg::guest
