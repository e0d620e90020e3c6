// Where submodules are fetched from.
#include "builder/submodule_url.hpp"

#include <catch2/catch.hpp>

using namespace karreg;
using namespace karreg::builder;

namespace {

SubmoduleUrl url_of(const std::string& text) {
  auto url = parse_submodule_url(text);
  if (!url) FAIL(url.error().message());
  return *url;
}

std::string refusal_of_url(const std::string& text) {
  const auto url = parse_submodule_url(text);
  INFO(text);
  REQUIRE_FALSE(url);
  CHECK(url.error().kind() == ErrorKind::invalid);
  return url.error().message();
}

}  // namespace

TEST_CASE("a submodule is fetched by HTTP from the place that its url names") {
  for (const char* text : {"https://github.com/a/b.git", "http://10.0.0.1:8080/b",
                           "https://example.org/a%20b/'c'/$(d)?e"}) {
    INFO(text);
    CHECK(url_of(text).fetched == text);
    CHECK(url_of(text).shown == text);
    CHECK_FALSE(url_of(text).was_ssh);
  }
  CHECK(url_of("https://GitHub.com:443/a/b.git").fetched == "https://github.com:443/a/b.git");
  CHECK(url_of("https://github.com:443/a/b.git").site == "https://github.com:443/");
  CHECK(url_of("https://github.com:443/a/b.git").host == "github.com");
}

TEST_CASE("what asks for SSH is fetched by HTTPS") {
  for (const char* text : {"git@github.com:a/b.git", "git@github.com:/a/b.git",
                           "github.com:a/b.git", "ssh://git@github.com/a/b.git",
                           "ssh://github.com/a/b.git", "ssh://git@github.com:22/a/b.git",
                           "git+ssh://git@github.com/a/b.git", "deploy@GitHub.com:a/b.git"}) {
    INFO(text);
    CHECK(url_of(text).fetched == "https://github.com/a/b.git");
    CHECK(url_of(text).shown == "https://github.com/a/b.git");
    CHECK(url_of(text).site == "https://github.com/");
    CHECK(url_of(text).was_ssh);
  }
}

TEST_CASE("what asks for SSH says which user and port") {
  CHECK(url_of("git@github.com:a/b.git").by_ssh == "ssh://git@github.com:22/a/b.git");
  CHECK(url_of("git@github.com:a/b.git").ssh_host == "github.com");
  CHECK(url_of("github.com:a/b.git").by_ssh == "ssh://git@github.com:22/a/b.git");
  CHECK(url_of("deploy@GitHub.com:a/b.git").by_ssh == "ssh://deploy@github.com:22/a/b.git");
  CHECK(url_of("ssh://me:secret@example.org:2222/a/b.git").by_ssh ==
        "ssh://me@example.org:2222/a/b.git");
  CHECK(url_of("ssh://example.org:2222/a/b.git").ssh_host == "[example.org]:2222");
  CHECK(url_of("https://github.com/a/b.git").by_ssh.empty());
  CHECK(refusal_of_url("ssh://-oProxyCommand=x@example.org/a").starts_with("its url `"));
}

TEST_CASE("users and passwords of a url are used and not shown") {
  const auto url = url_of("https://user:se@cret@example.org:8443/a.git");
  CHECK(url.fetched == "https://user:se@cret@example.org:8443/a.git");
  CHECK(url.shown == "https://example.org:8443/a.git");
  CHECK(url.site == "https://example.org:8443/");
  CHECK(refusal_of_url("ftp://user:secret@example.org/a.git").find("secret") == std::string::npos);
  CHECK(refusal_of_url("https://user:secret@example.org:x/a.git").find("secret") ==
        std::string::npos);
}

TEST_CASE("a url with another protocol, or that is a path, is refused") {
  for (const char* text : {"ext::sh -c true",
                           "ext::x",
                           "fd::17",
                           "file:///etc",
                           "file://localhost/etc",
                           "/etc",
                           "etc",
                           "~/x",
                           "C:/x",
                           "git://example.org/a.git",
                           "ftp://example.org/a",
                           "example.org:",
                           "HTTPS:",
                           "https://",
                           "https://example.org",
                           "https://example.org/",
                           "https:///a",
                           "https://-a.org/b",
                           "https://[::1]/a",
                           "https://example.org:0/a",
                           "https://example.org:65536/a",
                           "https://exa_mple.org:/a",
                           "ssh://git@example.org",
                           "ssh://-oProxyCommand=x/a",
                           "git@-oProxyCommand=x:a",
                           "ssh://git@example.org/~a/b",
                           "git@example.org:~/b",
                           "http::https://example.org/a",
                           "a/b:c",
                           ""}) {
    const std::string said = refusal_of_url(text);
    CHECK((said.find("is none that a build can fetch from: it reaches hosts by HTTPS alone. Give "
                     "it one of the form https://HOST/PATH, http://HOST/PATH or git@HOST:PATH.") !=
               std::string::npos ||
           said.starts_with("its url has a blank or a control character.")));
  }
  CHECK(refusal_of_url("file:///etc") ==
        "its url `file:///etc` is none that a build can fetch from: it reaches hosts by HTTPS "
        "alone. Give it one of the form https://HOST/PATH, http://HOST/PATH or git@HOST:PATH.");
}

TEST_CASE("a url that a command could take for something else is refused") {
  CHECK(refusal_of_url("--upload-pack=x")
            .starts_with("its url `--upload-pack=x` begins with a dash."));
  for (const char* text :
       {"https://example.org/a\nb", "https://example.org/a\tb", "https://example.org/a b",
        "https://example.org/\x7F", "https://example.org/\x1B[31m"})
    CHECK(refusal_of_url(text).starts_with("its url has a blank or a control character."));
  CHECK(refusal_of_url("https://example.org/" + std::string(2000, 'a'))
            .starts_with("its url has more than 2000 bytes."));
}

TEST_CASE("a relative url is told from others") {
  for (const char* text : {"../b.git", "./b.git", "..", "."}) CHECK(is_relative_url(text));
  for (const char* text : {"https://a.org/../b", ".b", "...", ""})
    CHECK_FALSE(is_relative_url(text));
}

TEST_CASE("credentials name the hosts that they are for, and are not shown when they are wrong") {
  using Hosts = std::vector<std::string>;
  CHECK(hosts_of_credentials("https://me:token@GitHub.com").value() == Hosts{"github.com"});
  CHECK(hosts_of_credentials(" https://me:a%40b@a.org/\n\nhttp://x:y@b.org:8080  ").value() ==
        Hosts{"a.org", "b.org"});
  CHECK(hosts_of_credentials(" ").value().empty());
  for (const char* wrong :
       {"secret", "https://github.com", "https://secret@github.com", "https://:secret@github.com",
        "https://me:@github.com", "ssh://me:secret@github.com",
        "https://me:secret@github.com/a/b.git", "https://me:secret@"}) {
    const auto refused = hosts_of_credentials(std::string("https://a:b@c.org ") + wrong);
    INFO(wrong);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message().starts_with(
        "number 2 is not of the form https://USER:TOKEN@HOST"));
    CHECK(refused.error().message().find("secret") == std::string::npos);
  }
}
