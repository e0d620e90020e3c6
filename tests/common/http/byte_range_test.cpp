// Parts of a whole, as RFC 9110 §14 asks for them.
#include "common/http/byte_range.hpp"

#include <catch2/catch.hpp>

using namespace karreg;
using namespace karreg::http;

namespace {
std::optional<ByteRange> asked(std::string_view field, std::uint64_t size = 10) {
  auto range = asked_range(field, size);
  REQUIRE(range);
  return *range;
}
}  // namespace

TEST_CASE("a part is asked for from a byte on, up to a byte, or from the end") {
  CHECK(asked("bytes=0-") == ByteRange{0, 9});
  CHECK(asked("bytes=4-") == ByteRange{4, 9});
  CHECK(asked("bytes=4-6") == ByteRange{4, 6});
  CHECK(asked("bytes=4-99") == ByteRange{4, 9});
  CHECK(asked("bytes=-3") == ByteRange{7, 9});
  CHECK(asked("bytes=-99") == ByteRange{0, 9});
  CHECK(ByteRange{4, 6}.length() == 3);
}

TEST_CASE("what is no such part is answered with the whole") {
  CHECK_FALSE(*asked_range(std::nullopt, 10));
  for (const char* field :
       {"", "bytes", "bytes=", "bytes=-", "bytes=x-", "bytes=1", "bytes=5-4", "bytes=1-2,4-5",
        "items=0-", "bytes=-1-", "bytes=4-x", "bytes=99999999999999999999-"})
    CHECK_FALSE(asked(field));
}

TEST_CASE("a part beyond the end is an error") {
  for (const char* field : {"bytes=10-", "bytes=99-100", "bytes=-0"})
    CHECK_FALSE(asked_range(field, 10));
  CHECK_FALSE(asked_range("bytes=0-", 0));
}

TEST_CASE("the answer says which part it is, and of how much") {
  CHECK(content_range({4, 9}, 10) == "bytes 4-9/10");
  const auto said = parse_content_range("bytes 4-9/10");
  REQUIRE(said);
  CHECK(said->range == ByteRange{4, 9});
  CHECK(said->size == 10);
  for (const char* field : {"", "bytes 4-9", "bytes 4-9/*", "bytes */10", "bytes 4-10/10",
                            "bytes 5-4/10", "bytes 4-9/10x", "items 4-9/10"})
    CHECK_FALSE(parse_content_range(field));
}
