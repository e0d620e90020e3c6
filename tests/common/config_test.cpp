#include "common/config.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>

using namespace karreg;

namespace {
/// A file that is gone when the test ends.
struct TemporaryFile {
  explicit TemporaryFile(const std::string& content) {
    char name[] = "/tmp/karreg-config-XXXXXX";
    const int fd = mkstemp(name);
    REQUIRE(fd >= 0);
    close(fd);
    path = name;
    std::ofstream(path) << content;
  }
  ~TemporaryFile() { std::remove(path.c_str()); }
  std::string path;
};

const std::vector<Setting> settings = {
    {"api.listen", "where the API listens", "127.0.0.1:8080", false},
    {"api.workers", "how many", "4", false},
    {"api.drain", "how long a stop may take", "30s", false},
    {"data.dir", "the data folder", "", true},
};
}  // namespace

TEST_CASE("the environment wins over the file, the file over the default") {
  TemporaryFile file("[api]\nlisten = \"127.0.0.1:1\"\nworkers = 2\n[data]\ndir = \"/d\"\n");
  auto config = Config::load(settings, file.path, {{"KARREG_API_WORKERS", "3"}});
  REQUIRE(config);
  CHECK(config->text("api.listen") == "127.0.0.1:1");
  CHECK(*config->number("api.workers", 1, 10) == 3);
  CHECK(*config->duration("api.drain") == std::chrono::seconds(30));
}

TEST_CASE("bad settings are named with their place and the way out") {
  struct Case {
    std::string file;
    std::string message;
  };
  for (const auto& c : {
           Case{"[api]\nlisten = \"x\"\n", "setting data.dir is missing"},
           Case{"[api]\nlissten = \"x\"\n[data]\ndir=\"/\"\n", ":2: unknown setting api.lissten"},
           Case{"[api\n", "configuration file "},
           Case{"[data]\ndir = [1]\n", "setting data.dir must be a string"},
       }) {
    TemporaryFile file(c.file);
    auto config = Config::load(settings, file.path, {});
    REQUIRE_FALSE(config);
    CHECK(config.error().kind() == ErrorKind::invalid);
    CHECK_THAT(config.error().message(), Catch::Contains(c.message));
  }
}

TEST_CASE("keys of a shared section that belong to another program are passed over") {
  TemporaryFile file("[data]\ndir = \"/d\"\nother = 1\n[proxy]\nlisten = \"x\"\n");
  CHECK(Config::load(settings, file.path, {}));
}

TEST_CASE("a number out of its bounds names the setting and the bounds") {
  auto config =
      Config::load(settings, "", {{"KARREG_API_WORKERS", "99"}, {"KARREG_DATA_DIR", "/"}});
  REQUIRE(config);
  CHECK(config->number("api.workers", 1, 64).error().message() ==
        "setting api.workers = \"99\" must be a whole number from 1 to 64");
}

TEST_CASE("endpoints") {
  CHECK(parse_endpoint("127.0.0.1:80")->port == 80);
  CHECK(parse_endpoint("[::1]:8443")->host == "::1");
  CHECK_FALSE(parse_endpoint("localhost"));
  CHECK_FALSE(parse_endpoint("localhost:99999"));
  CHECK_FALSE(parse_endpoint(":80"));
}
