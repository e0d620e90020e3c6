// What people may choose, and what they are told when they may not.
#include "api/core/model.hpp"

#include <catch2/catch.hpp>

using namespace karreg;
using namespace karreg::api;

TEST_CASE("application names are any printable text of 1 to 64 bytes", "[api]") {
  CHECK(check_app_name("Hello, World! \xc3\xa9"));
  CHECK(check_app_name(std::string(64, 'a')));
  CHECK_FALSE(check_app_name(""));
  CHECK_FALSE(check_app_name(std::string(65, 'a')));
  CHECK_FALSE(check_app_name("a\nb"));
  CHECK(check_app_name("").error().message() ==
        "the application name is empty; give it 1 to 64 characters");
}

TEST_CASE("names of environment variables are those of a shell", "[api]") {
  for (const char* good : {"A", "_", "PATH_2", "camelCase"}) CHECK(check_env_name(good));
  for (const char* bad : {"", "2A", "A-B", "A B", "A=B", "\xc3\xa9"}) {
    INFO(bad);
    const auto checked = check_env_name(bad);
    REQUIRE_FALSE(checked);
    CHECK(checked.error().kind() == ErrorKind::invalid);
  }
  CHECK(check_env_name("A-B").error().message() ==
        "\"A-B\" is no name for an environment variable: letters, digits and underscores, not "
        "beginning with a digit");
}

TEST_CASE("values of environment variables are bounded and hold no NUL", "[api]") {
  CHECK(check_env_value("A", "several\nlines"));
  CHECK(check_env_value("A", std::string(64UL * 1024, 'x')));
  CHECK(check_env_value("A", std::string(64UL * 1024 + 1, 'x')).error().kind() ==
        ErrorKind::too_large);
  CHECK(check_env_value("A", std::string("a\0b", 3)).error().message() ==
        "the value of A holds a NUL character");
}

TEST_CASE("the environment of an app is bounded as a whole", "[api]") {
  const auto of = [](std::size_t bytes) {
    Env env;
    for (std::size_t i = 0; bytes > 0; ++i) {
      const std::string name = std::string(1, static_cast<char>('A' + i));
      const std::size_t value = std::min<std::size_t>(bytes - 1, 50'000);
      env[name] = std::string(value, 'x');
      bytes -= value + 1;
    }
    return env;
  };
  struct Case {
    std::string what;
    Env env;
    std::string error;
  };
  for (const auto& [what, env, error] : std::vector<Case>{
           {"nothing", {}, ""},
           {"at the bound", of(max_env_bytes), ""},
           {"over it", of(max_env_bytes + 1),
            "the environment is too large: 129 KiB, at most 128 KiB: put large values into files "
            "of the repository"},
           {"a value over its own bound",
            {{"A", std::string(64UL * 1024 + 1, 'x')}},
            "the value of A is larger than 64 KiB"},
           {"a bad name",
            {{"2A", ""}},
            "\"2A\" is no name for an environment variable: letters, digits and underscores, not "
            "beginning with a digit"}}) {
    INFO(what);
    const auto checked = check_env(env);
    CHECK((checked ? "" : checked.error().message()) == error);
  }
}

TEST_CASE("sizes come from a fixed list", "[api]") {
  CHECK(check_flavor("XS"));
  CHECK(check_flavor("xs").error().message() ==
        "there is no size \"xs\"; there are pico, nano, XS, S, M, L, XL, 2XL, 3XL");
}

TEST_CASE("a domain is a host name with an optional path", "[api]") {
  struct Case {
    const char* text;
    const char* host;
    const char* path;
    const char* fqdn;
  };
  for (const Case& c : std::vector<Case>{
           {"Example.COM", "example.com", "/", "example.com/"},
           {"example.com/", "example.com", "/", "example.com/"},
           {"example.com/api", "example.com", "/api/", "example.com/api"},
           {"example.com/api/", "example.com", "/api/", "example.com/api"},
           {"a-b.c1.example/x/y", "a-b.c1.example", "/x/y/", "a-b.c1.example/x/y"},
       }) {
    INFO(c.text);
    const auto vhost = parse_fqdn(c.text);
    REQUIRE(vhost);
    CHECK(vhost->host == c.host);
    CHECK(vhost->path == c.path);
    CHECK(vhost->fqdn() == c.fqdn);
  }
}

TEST_CASE("what is no domain is refused with what is wrong", "[api]") {
  struct Case {
    std::string text;
    const char* why;
  };
  for (const Case& c : std::vector<Case>{
           {"", "its length is not 1 to 253"},
           {"/api", "its length is not 1 to 253"},
           {"localhost", "it has no dot"},
           {"a..b", "it has an empty label"},
           {".a.b", "it has an empty label"},
           {"a.b.", "it has an empty label"},
           {"-a.b", "a label begins or ends with a dash"},
           {"a-.b", "a label begins or ends with a dash"},
           {"a_b.c", "the character '_' is not allowed"},
           {"*.example.com", "the character '*' is not allowed"},
           {"example.com:80", "the character ':' is not allowed"},
           {"a." + std::string(64, 'x'), "a label is longer than 63 characters"},
           {"example.com//x", "the path is malformed"},
           {"example.com/a b", "the path is malformed"},
           {"example.com/a?b", "the path is malformed"},
           {"example.com/../x", "the path is malformed"},
       }) {
    INFO(c.text);
    const auto vhost = parse_fqdn(c.text);
    REQUIRE_FALSE(vhost);
    CHECK(vhost.error().kind() == ErrorKind::invalid);
    CHECK(vhost.error().message() ==
          "\"" + c.text + "\" is no domain name: " + c.why +
              "; expected something like example.com or example.com/api");
  }
}

TEST_CASE("the default host name is made of the application's name", "[api]") {
  CHECK(slug("Hello, World!") == "hello-world");
  CHECK(slug("hello-node") == "hello-node");
  CHECK(slug("--") == "app");
  CHECK(slug("\xc3\xa9t\xc3\xa9") == "t");
  CHECK(slug(std::string(80, 'x')).size() == 50);
  CHECK(slug(std::string(49, 'x') + " y") == std::string(49, 'x'));
}

TEST_CASE("sizes have an order", "[api]") {
  CHECK(is_smaller_flavor("pico", "XS"));
  CHECK_FALSE(is_smaller_flavor("XS", "XS"));
  CHECK_FALSE(is_smaller_flavor("M", "S"));
}

TEST_CASE("a branch has a name that git takes", "[api]") {
  for (const char* good : {"master", "feature/x", "v1.2", "a-b_c"}) {
    INFO(good);
    CHECK(check_branch(good));
  }
  for (const char* bad :
       {"",    "/a",  "a/",  "a//b", "-a",     "a b",  "a..b", "a~1", "a^",   "a:b",
        "a?b", "a*b", "a[b", "a\\b", "a.lock", "a/.b", "a.",   "@",   "a@{b", "a\tb"}) {
    INFO(bad);
    CHECK_FALSE(check_branch(bad));
  }
}
