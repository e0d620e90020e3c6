// A request's target and Host, in one line each: what is served has one host, in its normal form,
// and a path that an application takes for a path.
#include "fuzz/forwarded.hpp"

using namespace karreg::proxy;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto line = bytes.find('\n');
  http1::RequestHead head;
  head.method = (data[0] & 1) != 0 ? "OPTIONS" : "GET";
  head.minor_version = (data[0] & 2) != 0 ? 0 : 1;
  head.target = bytes.substr(0, line);
  const auto host = line == std::string_view::npos ? std::string_view() : bytes.substr(line + 1);
  // What parse_request() lets by.
  if (!http1::is_target(head.target) || !http1::is_field_value(host)) return 0;
  head.fields.push_back({"host", host});
  http1::learn(head.fields.back(), head.known);
  http1::Target target;
  if (http1::read_target(head, target)) return 0;
  std::string again;
  fuzz::must(http1::normalise_host(target.host, again) && again == target.host);
  fuzz::must(target.host.find_first_of("/?#@ \t\"\\ABCDEFGHIJKLMNOPQRSTUVWXYZ") ==
             std::string::npos);
  fuzz::must(target.authority.find_first_of("/?#@ \t\"\\") == std::string_view::npos);
  fuzz::must(target.forward.starts_with(target.path));
  fuzz::must(target.path.front() == '/' || (target.path == "*" && head.method == "OPTIONS"));
  fuzz::must(target.path.find_first_of("?#") == std::string_view::npos);
  fuzz::check_forwarded(head);
  return 0;
}
