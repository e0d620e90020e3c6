#include "reverse-proxy/rules/redirects.hpp"

#include <catch2/catch.hpp>

using namespace karreg::proxy;
using karreg::wire::Redirect;

namespace {
/// Where @p rule sends "host/path?query"; "-": nowhere.
std::string sent(const Redirect& rule, const std::string& host, const std::string& forward) {
  http1::Target target;
  target.host = host;
  target.forward = forward;
  target.path = std::string_view(forward).substr(0, forward.find('?'));
  const auto found = rules::redirect({rule}, target);
  return found ? std::to_string(found->status) + " " + found->location : "-";
}
}  // namespace

TEST_CASE("a redirect takes a path, a prefix or a host, and keeps the rest") {
  const Redirect exact{.path = "/a", .to = "/b"};
  CHECK(sent(exact, "x.test", "/a") == "302 /b");
  CHECK(sent(exact, "x.test", "/a?q=1&r") == "302 /b?q=1&r");
  CHECK(sent(exact, "x.test", "/a/") == "-");
  CHECK(sent(exact, "x.test", "/ab") == "-");
  const Redirect prefix{.prefix = "/old/", .to = "/new/", .status = 301};
  CHECK(sent(prefix, "x.test", "/old/") == "301 /new/");
  CHECK(sent(prefix, "x.test", "/old") == "301 /new/");
  CHECK(sent(prefix, "x.test", "/old/x/y?z") == "301 /new/x/y?z");
  CHECK(sent(prefix, "x.test", "/older") == "-");
  const Redirect host{.host = "www.x.test", .to = "https://x.test", .status = 308};
  CHECK(sent(host, "www.x.test", "/a/b?c") == "308 https://x.test/a/b?c");
  CHECK(sent(host, "www.x.test", "/") == "308 https://x.test/");
  CHECK(sent(host, "x.test", "/") == "-");
  const Redirect both{.host = "www.x.test", .prefix = "/a/", .to = "https://x.test/b"};
  CHECK(sent(both, "www.x.test", "/a/c") == "302 https://x.test/b/c");
  CHECK(sent(both, "x.test", "/a/c") == "-");
}

TEST_CASE("a redirect drops the rest of the path or the query when it is told so") {
  const Redirect bare{.prefix = "/old/", .to = "/new", .keep_path = false, .keep_query = false};
  CHECK(sent(bare, "x.test", "/old/x?y") == "302 /new");
  const Redirect own{.prefix = "/old/", .to = "/new?from=old#top"};
  CHECK(sent(own, "x.test", "/old/x?y") == "302 /new/x?from=old#top");
  CHECK(sent({.path = "/a", .to = "/b#top"}, "x.test", "/a?y") == "302 /b?y#top");
}

TEST_CASE("what a visitor writes never becomes the site that he is sent to") {
  const Redirect root{.prefix = "/old/", .to = "/"};
  CHECK(sent(root, "x.test", "/old//evil.test/") == "302 /evil.test/");
  CHECK(sent(root, "x.test", "/old///evil.test/") == "302 /evil.test/");
  CHECK(sent(root, "x.test", "/old/\\evil.test/") == "302 /evil.test/");
  CHECK(sent(root, "x.test", "/old/") == "302 /");
  const Redirect site{.prefix = "/old/", .to = "https://x.test"};
  CHECK(sent(site, "x.test", "/old/.evil.test") == "302 https://x.test/.evil.test");
  CHECK(sent(site, "x.test", "/old/@evil.test") == "302 https://x.test/@evil.test");
  CHECK(sent({.host = "a.test", .to = "https://x.test"}, "a.test", "//evil.test") ==
        "302 https://x.test//evil.test");
}

TEST_CASE("the first redirect that takes a request decides; none takes the site as a whole") {
  http1::Target target;
  target.path = target.forward = "/a";
  CHECK(rules::redirect({{.path = "/a", .to = "/b"}, {.prefix = "/", .to = "https://x"}}, target)
            ->location == "/b");
  target.path = target.forward = "*";
  CHECK_FALSE(rules::redirect({{.prefix = "/", .to = "https://x"}}, target));
}
