#include "reverse-proxy/rules/accept_encoding.hpp"

#include <catch2/catch.hpp>

using namespace karreg::proxy;
using rules::Coding;

namespace {
std::string chosen(const std::vector<std::string>& values, const std::vector<Coding>& offered) {
  http1::RequestHead head;
  for (const auto& value : values) head.fields.push_back({"Accept-Encoding", value});
  return std::string(name_of(rules::choose_coding(head, offered)));
}
}  // namespace

TEST_CASE("the coding that a visitor likes best is chosen, of those liked equally the first") {
  struct Case {
    const char* accepts;
    const char* coding;
  };
  const auto c = GENERATE(values<Case>({
      {"gzip, deflate, br, zstd", "zstd"},
      {"gzip, deflate, br", "br"},
      {"gzip", "gzip"},
      {"x-gzip", "gzip"},
      {"GZIP;Q=1", "gzip"},
      {"deflate", ""},
      {"", ""},
      {"*", "zstd"},
      {"*;q=0.5, gzip", "gzip"},
      {"*;q=0", ""},
      {"gzip;q=0", ""},
      {"gzip;q=0.000", ""},
      {"gzip;q=0.001", "gzip"},
      {"zstd;q=0.5, br;q=0.9, gzip;q=0.8", "br"},
      {"gzip ; q=1.000 , zstd ;q=0.999", "gzip"},
      {"gzip;q=0.5, identity", ""},
      {"gzip;q=0.5, identity;q=0.5", "gzip"},
      {"identity;q=0", ""},
      {"identity;q=0, gzip", "gzip"},
      // Malformed members do not count.
      {"gzip;q=2", ""},
      {"gzip;q=1.001", ""},
      {"gzip;q=0.0001", ""},
      {"gzip;q=-1", ""},
      {"gzip;q=", ""},
      {"gzip;level=1", ""},
      {"gzip;q=1;q=0", ""},
      {";q=1,,gzip", "gzip"},
      // The first word counts.
      {"gzip;q=0, gzip", ""},
  }));
  CAPTURE(c.accepts);
  CHECK(chosen({c.accepts}, {Coding::zstd, Coding::br, Coding::gzip}) == c.coding);
}

TEST_CASE("without a field, or without an offer, a body stays as it is; several fields are one") {
  CHECK(chosen({}, {Coding::gzip}).empty());
  CHECK(chosen({"gzip"}, {}).empty());
  CHECK(chosen({"br;q=0.5", "gzip"}, {Coding::br, Coding::gzip}) == "gzip");
}
