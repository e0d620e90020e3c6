// Where builds may go.
#include <catch2/catch.hpp>

#include "hypervisor-agent/egress/policy.hpp"

using namespace karreg;
using namespace karreg::agent::egress;

namespace {

bool may_reach(const std::string& hosts, const std::string& host, std::uint16_t port = 443) {
  const auto policy = Policy::of_hosts(hosts);
  REQUIRE(policy);
  return policy->check({host, port}).has_value();
}

bool is_public_address(const std::string& text) {
  return is_public(boost::asio::ip::make_address(text));
}

}  // namespace

TEST_CASE("egress: an authority is a name or an address with a port") {
  CHECK(parse_authority("Example.org:443", std::nullopt) == Target{"example.org", 443});
  CHECK(parse_authority("example.org", 80) == Target{"example.org", 80});
  CHECK(parse_authority("[2001:db8::1]:443", std::nullopt) == Target{"2001:db8::1", 443});
  for (const char* text : {"", ":443", "example.org", "example.org:", "example.org:0",
                           "example.org:65536", "example.org:4 4", "a@b:443", "a/b:443", "[::1",
                           "[x]:443", "exa mple.org:443", "-a.org:443", "::1:443"}) {
    INFO(text);
    CHECK_FALSE(parse_authority(text, std::nullopt));
  }
}

TEST_CASE("egress: names of the list, at the ports of the web alone") {
  const std::string hosts = "registry.example.org, *.mirror.example";
  CHECK(may_reach(hosts, "registry.example.org"));
  CHECK(may_reach(hosts, "registry.example.org", 80));
  CHECK(may_reach(hosts, "a.mirror.example"));
  CHECK(may_reach(hosts, "a.b.mirror.example"));
  CHECK_FALSE(may_reach(hosts, "mirror.example"));
  CHECK_FALSE(may_reach(hosts, "evilmirror.example"));
  CHECK_FALSE(may_reach(hosts, "registry.example.org.evil.example"));
  CHECK_FALSE(may_reach(hosts, "xregistry.example.org"));
  CHECK_FALSE(may_reach(hosts, "registry.example.org", 22));
  CHECK_FALSE(may_reach(hosts, "registry.example.org", 5432));
  CHECK_FALSE(may_reach("", "registry.example.org"));
  CHECK(may_reach("*", "anything.example"));
}

TEST_CASE("egress: a name of the list with a port is reached at that port alone") {
  const std::string hosts = "git.example.org:8443, *.mirror.example:8080 registry.example.org";
  CHECK(may_reach(hosts, "git.example.org", 8443));
  CHECK_FALSE(may_reach(hosts, "git.example.org", 443));
  CHECK_FALSE(may_reach(hosts, "git.example.org", 80));
  CHECK(may_reach(hosts, "a.mirror.example", 8080));
  CHECK_FALSE(may_reach(hosts, "a.mirror.example", 8443));
  CHECK_FALSE(may_reach(hosts, "registry.example.org", 8443));
  CHECK(may_reach(hosts + " git.example.org", "git.example.org", 443));
  CHECK_FALSE(may_reach("*:8443", "127.0.0.1", 8443));
  for (const char* wrong : {"a.org:", "a.org:0", "a.org:65536", "a.org:x", ":443", "a.org:1:2"}) {
    INFO(wrong);
    CHECK_FALSE(Policy::of_hosts(wrong));
  }
}

TEST_CASE("egress: addresses are refused even where every name is allowed") {
  for (const char* address : {"127.0.0.1", "10.0.0.1", "203.0.113.1", "::1", "2001:db8::1"}) {
    INFO(address);
    CHECK_FALSE(may_reach("*", address));
  }
}

TEST_CASE("egress: a refusal says what the operator can do") {
  const auto policy = Policy::of_hosts("a.example");
  REQUIRE(policy);
  CHECK(
      policy->check({"b.example", 443}).error().message() ==
      "b.example is not among the hosts that builds may reach; the platform's operator lists them "
      "(agent.egress_hosts)");
}

TEST_CASE("egress: a pattern that is none is refused when the agent starts") {
  for (const char* hosts :
       {"*example.org", "a.*.org", "127.0.0.1", "http://a.org", "*.", "a_b/c"}) {
    INFO(hosts);
    CHECK_FALSE(Policy::of_hosts(hosts));
  }
}

TEST_CASE("egress: what is not of the public Internet") {
  for (const char* address : {"0.0.0.0",
                              "10.1.2.3",
                              "100.64.0.1",
                              "100.127.255.255",
                              "127.0.0.1",
                              "127.64.1.2",
                              "169.254.169.254",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.0.0.8",
                              "192.168.1.1",
                              "198.18.0.1",
                              "198.19.255.255",
                              "224.0.0.1",
                              "240.0.0.1",
                              "255.255.255.255",
                              "::",
                              "::1",
                              "fe80::1",
                              "fc00::1",
                              "fd12::1",
                              "ff02::1",
                              "::ffff:127.0.0.1",
                              "::ffff:10.0.0.1",
                              "64:ff9b::7f00:1",
                              "2002:7f00:1::",
                              "2001::1"}) {
    INFO(address);
    CHECK_FALSE(is_public_address(address));
  }
  for (const char* address :
       {"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "128.0.0.1",
        "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
        "198.20.0.0", "223.255.255.255", "::ffff:1.1.1.1", "2606:4700::1111"}) {
    INFO(address);
    CHECK(is_public_address(address));
  }
}
