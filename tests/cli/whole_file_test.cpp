#include "cli/whole_file.hpp"

#include <catch2/catch.hpp>
#include <cerrno>

#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::cli;
using namespace karreg::test;

TEST_CASE("a file is replaced whole, with its mode") {
  const ScratchFolder scratch;
  write_file(scratch / "f", "something longer");
  REQUIRE(write_whole(scratch / "f", "new", 0600));
  CHECK(read_whole(scratch / "f").value() == "new");
  const auto rights = std::filesystem::status(scratch / "f").permissions();
  CHECK((rights & std::filesystem::perms::all) ==
        (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
}

TEST_CASE("a place that cannot be written to is the user's to mend, and nothing is left there") {
  const ScratchFolder scratch;
  std::filesystem::create_directory(scratch / "f");
  const auto done = write_whole(scratch / "f", "new", 0600);
  REQUIRE_FALSE(done);
  CHECK(done.error().kind() == ErrorKind::invalid);
  CHECK(done.error().message() == (scratch / "f").string() +
                                      " cannot be written: Is a directory. Put right what stands "
                                      "in its place.");
  CHECK(std::distance(std::filesystem::directory_iterator(scratch.path()), {}) == 1);
}

TEST_CASE("why a file is not written decides whose fault it is") {
  struct Case {
    int code;
    ErrorKind kind;
    std::string message;
  };
  const auto c = GENERATE(values<Case>({
      {EACCES, ErrorKind::invalid,
       "f cannot be written: Permission denied. Choose a folder that you may write to."},
      {EROFS, ErrorKind::invalid,
       "f cannot be written: Read-only file system. Choose a folder that you may write to."},
      {ENOSPC, ErrorKind::invalid,
       "f cannot be written: No space left on device. Make room there."},
      {EBADF, ErrorKind::internal, "f cannot be written: Bad file descriptor."},
  }));
  const Error error = write_error("f", c.code);
  CHECK(error.kind() == c.kind);
  CHECK(error.message() == c.message);
}
