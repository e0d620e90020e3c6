// What an application's rules make of what strangers send: where they are sent, which coding they
// get, what passes without a password.
#include "common/wire/rules.hpp"

#include "fuzz/forwarded.hpp"
#include "reverse-proxy/rules/accept_encoding.hpp"
#include "reverse-proxy/rules/address_set.hpp"
#include "reverse-proxy/rules/basic_auth.hpp"
#include "reverse-proxy/rules/redirects.hpp"

using namespace karreg::proxy;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  http1::RequestHead head;
  head.fields = {{"Accept-Encoding", bytes}, {"X-Forwarded-For", bytes}};
  const std::array offered{rules::Coding::zstd, rules::Coding::gzip};
  fuzz::must(rules::choose_coding(head, offered) != rules::Coding::br);
  static_cast<void>(rules::visitor_address(head, "192.0.2.1", true));
  if (const auto credentials = rules::read_basic(bytes))
    fuzz::must(credentials->user.find(':') == std::string::npos);

  http1::Target target;
  target.host = "a.test";
  target.forward = bytes;
  target.path = bytes.substr(0, bytes.find('?'));
  if (!bytes.starts_with('/')) return 0;
  if (rules::is_excepted({"/open/"}, target.path))
    fuzz::must(target.path.find("/../") == std::string_view::npos);
  // What a visitor writes stays behind the host, and makes no path another site.
  for (const char* to : {"/", "/new", "https://b.test", "https://b.test/x/"}) {
    karreg::wire::Redirect rule;
    rule.prefix = "/";
    rule.to = to;
    const auto found = rules::redirect({rule}, target);
    fuzz::must(found.has_value());
    const std::string_view location(found->location);
    if (to[0] == '/') {
      fuzz::must(location.starts_with('/'));
      fuzz::must(location.size() < 2 || (location[1] != '/' && location[1] != '\\'));
    } else {
      fuzz::must(location == "https://b.test" || location.starts_with("https://b.test/") ||
                 location.starts_with("https://b.test?"));
    }
  }
  return 0;
}
