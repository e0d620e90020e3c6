#include "cli/profile.hpp"

#include <sys/stat.h>

#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::cli;
using namespace karreg::test;

namespace {
Profile sample() {
  Profile profile;
  profile.api_host = "https://api.example.org";
  profile.token = "T";
  profile.secret = "S";
  profile.consumer_key = "K";
  profile.consumer_secret = "KS";
  profile.email = "a@example.org";
  return profile;
}
unsigned mode_of(const std::filesystem::path& file) {
  struct stat status{};
  REQUIRE(stat(file.c_str(), &status) == 0);
  return status.st_mode & 0777U;
}
}  // namespace

TEST_CASE("a profile is stored for its owner alone and read back") {
  const ScratchFolder scratch;
  const Environment environment = {{"XDG_CONFIG_HOME", (scratch / "config").string()}};
  REQUIRE(save_profile(environment, sample()));
  const auto file = scratch / "config/karreg/config.json";
  CHECK(profile_file(environment).value() == file);
  CHECK(mode_of(file) == 0600);
  CHECK(mode_of(file.parent_path()) == 0700);
  const auto read = load_profile(environment);
  REQUIRE(read);
  CHECK(read->api_host == "https://api.example.org");
  CHECK(read->token == "T");
  CHECK(read->secret == "S");
  CHECK(read->consumer_key == "K");
  CHECK(read->email == "a@example.org");
  CHECK(must_run("ls " + file.parent_path().string()) == "config.json\n");
}

TEST_CASE("the environment wins over the file, a token with the secret from the same place") {
  const ScratchFolder scratch;
  Environment environment = {{"HOME", scratch.path().string()}};
  REQUIRE(save_profile(environment, sample()));
  CHECK(std::filesystem::exists(scratch / ".config/karreg/config.json"));
  environment["KARREG_API_HOST"] = "http://localhost:8080//";
  environment["KARREG_TOKEN"] = "api-token";
  const auto read = load_profile(environment);
  REQUIRE(read);
  CHECK(read->api_host == "http://localhost:8080");
  CHECK(read->token == "api-token");
  CHECK(read->secret.empty());
}

TEST_CASE("without a file and a home there still is a profile") {
  const auto read = load_profile({{"KARREG_TOKEN", "t"}});
  REQUIRE(read);
  CHECK(read->logged_in());
  CHECK_FALSE(load_profile({})->logged_in());
  CHECK(profile_file({}).error().message() ==
        "Neither XDG_CONFIG_HOME nor HOME is set, so there is no place for the profile.");
}

TEST_CASE("a broken profile is named") {
  const ScratchFolder scratch;
  const Environment environment = {{"XDG_CONFIG_HOME", scratch.path().string()}};
  for (const char* text : {"nonsense", "[]", R"({"token":3})"}) {
    write_file(scratch / "karreg/config.json", text);
    CHECK(load_profile(environment).error().message() ==
          (scratch / "karreg/config.json").string() +
              " is not a profile of karreg. Remove it and run `karreg login` again.");
  }
}

TEST_CASE("logging out forgets token and secret and keeps the platform") {
  const ScratchFolder scratch;
  const Environment environment = {{"XDG_CONFIG_HOME", scratch.path().string()}};
  CHECK_FALSE(forget_login(environment).value());
  REQUIRE(save_profile(environment, sample()));
  CHECK(forget_login(environment).value());
  CHECK_FALSE(forget_login(environment).value());
  CHECK(load_profile(environment)->api_host == "https://api.example.org");
  CHECK(read_file(scratch / "karreg/config.json").find("\"T\"") == std::string::npos);
}

TEST_CASE("a token pair is sent as OAuth1 PLAINTEXT, an API token as Bearer") {
  CHECK(authorization(sample()) ==
        "OAuth oauth_consumer_key=\"K\", oauth_token=\"T\", oauth_signature_method=\"PLAINTEXT\", "
        "oauth_signature=\"KS%26S\"");
  Profile bearer = sample();
  bearer.secret.clear();
  CHECK(authorization(bearer) == "Bearer T");
}

TEST_CASE("an address that is no URL is refused") {
  CHECK(clean_host("api.example.org").error().message() ==
        "`api.example.org` is not the address of an API: give a URL such as "
        "https://api.example.org.");
}
