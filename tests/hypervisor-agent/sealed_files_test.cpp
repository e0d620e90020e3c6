// Artifacts are what their names say, or they are not booted.
#include "hypervisor-agent/sealed_files.hpp"

#include <fcntl.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "common/crypto/digest.hpp"
#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::agent;
using namespace karreg::test;

namespace {

/// One byte of the file is another one. Its times of before are put back, as far as that can be
/// done.
void damage(const std::filesystem::path& path) {
  const auto written = std::filesystem::last_write_time(path);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(100'000);
  file.put('!');
  file.close();
  std::filesystem::last_write_time(path, written);
}

}  // namespace

TEST_CASE("a file with the bytes that its name says is whole, and one with others is not") {
  const ScratchFolder scratch;
  const auto path = scratch / "artifact";
  const std::string bytes(300'000, 'x');
  const std::string digest = crypto::sha256_hex(bytes);
  write_file(path, bytes);
  SealedFiles files;
  CHECK(files.check(path, digest));
  CHECK(files.check(path, digest));  // remembered
  damage(path);
  const auto damaged = files.check(path, digest);
  REQUIRE_FALSE(damaged);
  CHECK(damaged.error().kind() == ErrorKind::internal);
  CHECK(damaged.error().message().starts_with(path.string() +
                                              " has other bytes than its name says (SHA-256 "));
  CHECK_FALSE(files.check(path, digest));  // a trouble is not remembered as whole
  write_file(path, bytes);
  CHECK(files.check(path, digest));
}

TEST_CASE("a file that was cut, or replaced under its name, is read again") {
  const ScratchFolder scratch;
  const auto path = scratch / "artifact";
  const std::string bytes(5000, 'x');
  const std::string digest = crypto::sha256_hex(bytes);
  SealedFiles files;
  write_file(path, bytes);
  REQUIRE(files.check(path, digest));
  std::filesystem::resize_file(path, 4999);
  CHECK_FALSE(files.check(path, digest));
  write_file(scratch / "other", std::string(5000, 'y'));
  std::filesystem::rename(scratch / "other", path);
  CHECK_FALSE(files.check(path, digest));
}

TEST_CASE("a file that is not there is told as that") {
  const ScratchFolder scratch;
  SealedFiles files;
  const auto missing = files.check(scratch / "none", std::string(64, '0'));
  REQUIRE_FALSE(missing);
  CHECK(missing.error().kind() == ErrorKind::not_found);
}
