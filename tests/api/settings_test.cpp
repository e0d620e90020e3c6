// What the API refuses to start with.
#include "api/settings.hpp"

#include <catch2/catch.hpp>

using namespace karreg;
using namespace karreg::api;

namespace {
Result<Settings> settings_with(std::map<std::string, std::string> environment) {
  environment.insert({{"KARREG_DATA_DIR", "/nowhere"},
                      {"KARREG_DATABASE_URL", "dbname=x"},
                      {"KARREG_SECRETS_KEY_FILE", "/nowhere/key"}});
  auto config = Config::load(declared_settings(), "", environment);
  REQUIRE(config);
  return read_settings(*config);
}
}  // namespace

TEST_CASE("tokens and passwords do not cross a network readable unless the operator says so") {
  CHECK(settings_with({}));
  CHECK(settings_with({{"KARREG_API_LISTEN", "[::1]:8080"}}));
  CHECK(settings_with({{"KARREG_API_LISTEN", "0.0.0.0:8080"},
                       {"KARREG_API_PUBLIC_URL", "https://api.example.org"}}));
  CHECK(settings_with(
      {{"KARREG_API_LISTEN", "0.0.0.0:8080"}, {"KARREG_API_ALLOW_PLAIN_HTTP", "true"}}));
  for (const auto* open : {"0.0.0.0:8080", "[::]:8080", "192.0.2.1:80"}) {
    auto refused = settings_with({{"KARREG_API_LISTEN", open}});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind() == ErrorKind::invalid);
    CHECK(refused.error().message() ==
          std::string("setting api.listen = \"") + open +
              "\" is reachable from other machines while api.public_url is http: tokens and "
              "passwords would cross the network readable. Listen on 127.0.0.1 behind a TLS "
              "server and give its https address as api.public_url, or set api.allow_plain_http "
              "= true in a network that you trust");
  }
}

TEST_CASE("the public URL must be one, and its host is the platform's own") {
  CHECK(settings_with({{"KARREG_API_PUBLIC_URL", "https://API.Example.org:8443"}})->public_host ==
        "api.example.org");
  for (const auto* bad : {"https://api.example.org/", "api.example.org", "ftp://x", "http://h:x"}) {
    INFO(bad);
    CHECK_FALSE(settings_with({{"KARREG_API_PUBLIC_URL", bad}}));
  }
}
