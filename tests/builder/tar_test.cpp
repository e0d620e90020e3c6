#include "builder/tar.hpp"

#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::builder;
using namespace karreg::test;

namespace {

constexpr std::int64_t commit_time = 1700000000;  // 2023-11-14 22:13:20 UTC

std::string archive_of(const std::function<void(TarWriter&)>& fill) {
  std::string bytes;
  TarWriter tar(
      [&](std::string_view part) {
        bytes += part;
        return ok();
      },
      commit_time);
  fill(tar);
  REQUIRE(tar.finish());
  CHECK(tar.written() == static_cast<std::int64_t>(bytes.size()));
  CHECK(bytes.size() % 512 == 0);
  return bytes;
}

}  // namespace

TEST_CASE("tar lists members, modes, links and times as written") {
  const ScratchFolder scratch;
  write_file(scratch / "a.tar", archive_of([](TarWriter& tar) {
               REQUIRE(tar.folder("bin"));
               REQUIRE(tar.file("bin/run", true, "#!/bin/sh\n"));
               REQUIRE(tar.file("empty", false, ""));
               REQUIRE(tar.link("latest", "bin/run"));
             }));
  CHECK(must_run("TZ=UTC tar -tvf " + (scratch / "a.tar").string()) ==
        "drwxr-xr-x root/root         0 2023-11-14 22:13 bin/\n"
        "-rwxr-xr-x root/root        10 2023-11-14 22:13 bin/run\n"
        "-rw-r--r-- root/root         0 2023-11-14 22:13 empty\n"
        "lrwxrwxrwx root/root         0 2023-11-14 22:13 latest -> bin/run\n");
}

TEST_CASE("tar gives back the bytes, whatever the length of name, link and file") {
  const ScratchFolder scratch;
  const std::string deep(60, 'd');
  const std::string long_name = deep + "/" + deep + "/" + std::string(200, 'f') + ".txt";
  const std::string long_target = "../" + std::string(150, 't');
  write_file(scratch / "a.tar", archive_of([&](TarWriter& tar) {
               for (const std::size_t size : {1U, 511U, 512U, 513U, 5000U})
                 REQUIRE(tar.file("f" + std::to_string(size), false, std::string(size, 'x')));
               REQUIRE(tar.file(std::string(100, 'n'), false, "hundred"));
               REQUIRE(tar.file(long_name, false, "deep"));
               REQUIRE(tar.link("link", long_target));
               REQUIRE(tar.file("last \xc3\xa9\n", false, "end"));
             }));
  must_run("mkdir " + (scratch / "out").string() + " && tar -xf " + (scratch / "a.tar").string() +
           " -C " + (scratch / "out").string());
  for (const std::size_t size : {1U, 511U, 512U, 513U, 5000U})
    CHECK(read_file(scratch / ("out/f" + std::to_string(size))) == std::string(size, 'x'));
  CHECK(read_file(scratch / ("out/" + std::string(100, 'n'))) == "hundred");
  CHECK(read_file(scratch / ("out/" + long_name)) == "deep");
  CHECK(std::filesystem::read_symlink(scratch / "out/link") == long_target);
  CHECK(read_file(scratch / "out/last \xc3\xa9\n") == "end");
}

TEST_CASE("tar stops at the first failure of its sink") {
  int calls = 0;
  TarWriter tar(
      [&](std::string_view) -> Result<void> {
        if (++calls == 2) return Error(ErrorKind::unavailable, "disk full");
        return ok();
      },
      0);
  const auto written = tar.file("a", false, "bytes");
  REQUIRE_FALSE(written);
  CHECK(written.error().message() == "disk full");
  CHECK(calls == 2);
}
