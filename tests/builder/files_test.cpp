#include "builder/files.hpp"

#include <sys/stat.h>

#include "common/crypto/digest.hpp"
#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::builder;
using namespace karreg::test;

namespace {

struct stat status_of(const std::filesystem::path& file) {
  struct stat status{};
  INFO(file.string());
  REQUIRE(stat(file.c_str(), &status) == 0);
  return status;
}
Result<void> nothing() {
  return ok();
}

}  // namespace

TEST_CASE("digests are those of sha256sum, in whatever pieces") {
  const ScratchFolder scratch;
  const std::string bytes(3'000'000, 'k');
  write_file(scratch / "f", bytes);
  crypto::Sha256 digest;
  digest.add(bytes.substr(0, 17));
  digest.add(bytes.substr(17));
  const std::string expected = must_run("sha256sum " + (scratch / "f").string()).substr(0, 64);
  CHECK(digest.hex() == expected);
  CHECK(seal(scratch / "f", 3'000'000, nothing).value() == expected);
}

TEST_CASE("a written file holds its bytes and holes take no space") {
  const ScratchFolder scratch;
  auto file = FileWriter::create(scratch / "f");
  REQUIRE(file);
  REQUIRE(file->write("abc"));
  REQUIRE(file->resize(std::int64_t{1} << 31));
  REQUIRE(file->sync());
  CHECK(status_of(scratch / "f").st_size == std::int64_t{1} << 31);
  CHECK(status_of(scratch / "f").st_blocks * 512 < 1 << 20);
  CHECK(must_run("head -c 3 " + (scratch / "f").string()) == "abc");
}

TEST_CASE("a template is copied with its holes, once unless it is to be replaced") {
  const ScratchFolder scratch;
  must_run("truncate -s 64M " + (scratch / "t").string() + " && printf data | dd of=" +
           (scratch / "t").string() + " bs=1 seek=5000000 conv=notrunc status=none");
  REQUIRE(copy_template(scratch / "t", scratch / "c", Existing::keep));
  must_run("cmp " + (scratch / "t").string() + " " + (scratch / "c").string());
  CHECK(status_of(scratch / "c").st_blocks * 512 < 1 << 20);

  write_file(scratch / "c", "the app's cache");
  REQUIRE(copy_template(scratch / "t", scratch / "c", Existing::keep));
  CHECK(read_file(scratch / "c") == "the app's cache");
  REQUIRE(copy_template(scratch / "t", scratch / "c", Existing::replace));
  must_run("cmp " + (scratch / "t").string() + " " + (scratch / "c").string());
  CHECK(must_run("ls " + scratch.path().string()) == "c\nt\n");
}

TEST_CASE("sealing cuts to the reported size and makes the file readable") {
  const ScratchFolder scratch;
  write_file(scratch / "f", std::string(8192, 'x'));
  must_run("chmod 600 " + (scratch / "f").string());
  REQUIRE(seal(scratch / "f", 4096, nothing));
  CHECK(status_of(scratch / "f").st_size == 4096);
  CHECK((status_of(scratch / "f").st_mode & 0777U) == 0644);
  CHECK(seal(scratch / "f", 5000, nothing).error().message() ==
        (scratch / "f").string() + " has 4096 bytes, fewer than the 5000 that the build reported");
}

TEST_CASE("a second name takes the place of what is there, also of the same file") {
  const ScratchFolder scratch;
  write_file(scratch / "whole", "whole");
  write_file(scratch / "artifact", "damaged");
  for (int round = 0; round < 2; ++round) {
    REQUIRE(link_file(scratch / "whole", scratch / "artifact"));
    CHECK(read_file(scratch / "artifact") == "whole");
    CHECK_FALSE(std::filesystem::exists(scratch / "artifact.new"));
  }
}

TEST_CASE("long work ends when its lease is lost") {
  const ScratchFolder scratch;
  write_file(scratch / "f", std::string(4 << 20, 'x'));
  int calls = 0;
  const auto sealed = seal(scratch / "f", 4 << 20, [&]() -> Result<void> {
    if (++calls == 2) return Error(ErrorKind::conflict, "lost");
    return ok();
  });
  REQUIRE_FALSE(sealed);
  CHECK(sealed.error().kind() == ErrorKind::conflict);
  CHECK(calls == 2);
}

TEST_CASE("a full disk is an error with the file's name") {
  if (!std::filesystem::exists("/dev/full")) FAIL("this system has no /dev/full");
  auto file = FileWriter::create("/dev/full");
  REQUIRE(file);
  REQUIRE(file->write("x"));
  const auto written = file->sync();
  REQUIRE_FALSE(written);
  CHECK(written.error().kind() == ErrorKind::internal);
  CHECK(written.error().message() == "writing /dev/full: No space left on device");
}

TEST_CASE("files that are not there are told") {
  const ScratchFolder scratch;
  CHECK(FileWriter::create(scratch / "no/f").error().kind() == ErrorKind::not_found);
  CHECK(copy_template(scratch / "no", scratch / "c", Existing::keep).error().message() ==
        "opening " + (scratch / "no").string() + ": No such file or directory");
  CHECK(free_bytes(scratch.path()).value() > 0);
}
