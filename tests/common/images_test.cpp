#include "common/images.hpp"

#include <catch2/catch.hpp>

using namespace karreg;

TEST_CASE("a manifest is read line by line, and what is no package is left out") {
  CHECK(parse_manifest("bash 5.2.37-2+b10\nlibssl3t64 3.5.1-1\n") ==
        Packages{{"bash", "5.2.37-2+b10"}, {"libssl3t64", "3.5.1-1"}});
  CHECK(parse_manifest("npm 9.2.0-1\nnpm 10.9.2 (npm)\n") ==
        Packages{{"npm", "9.2.0-1"}, {"npm (npm)", "10.9.2"}});
  CHECK(parse_manifest("bash 5.2.37").size() == 1);
  CHECK(parse_manifest("").empty());
  CHECK(parse_manifest("# Debian's linux-source over tinyconfig\nCONFIG_SMP=y\n 1\nbash \n\n")
            .empty());
}

TEST_CASE("what differs between two images is told by name, with what came and what went") {
  const Packages old{{"bash", "5.2"}, {"openssl", "3.5.1"}, {"telnet", "0.17"}};
  const Packages fixed{{"bash", "5.2"}, {"curl", "8.14"}, {"openssl", "3.5.2"}};
  CHECK(package_changes(old, fixed) == std::vector<PackageChange>{{"curl", "", "8.14"},
                                                                  {"openssl", "3.5.1", "3.5.2"},
                                                                  {"telnet", "0.17", ""}});
  CHECK(package_changes(old, old).empty());
}

TEST_CASE("the major and minor version of a Debian version are its first two numbers") {
  struct Case {
    const char* version;
    const char* is;
  };
  for (const auto& c :
       {Case{"3.13.5-1", "3.13"}, Case{"1:3.13.5-1", "3.13"}, Case{"24-1", "24"},
        Case{"2:8.4+96", "8.4"}, Case{"20.19.2+dfsg-1", "20.19"}, Case{"1.27rc1", "1.27"},
        Case{"7.", "7"}, Case{"git2024", "git2024"}, Case{"", ""}}) {
    INFO(c.version);
    CHECK(major_minor(c.version) == c.is);
  }
}

TEST_CASE(
    "an artifact runs on a newer image of its release with the same major and minor versions") {
  const auto image = [](const char* version, std::map<std::string, std::string> versions) {
    return ImageFacts{version, std::move(versions)};
  };
  const auto old = image("node run, Debian trixie", {{"node", "20.19.2-1"}});
  CHECK(reason_to_rebuild(old, image("node run, Debian trixie", {{"node", "20.19.5-1+deb13u1"}})) ==
        "");
  CHECK(reason_to_rebuild(old, image("node run, Debian trixie", {{"node", "20.20.0-1"}})) ==
        "node is 20.20 instead of 20.19");
  CHECK(reason_to_rebuild(old, image("node run, Debian forky", {{"node", "20.19.5-1"}})) ==
        "the image is \"node run, Debian forky\" instead of \"node run, Debian trixie\"");
  CHECK(reason_to_rebuild(
            old, image("node run, Debian trixie", {{"node", "20.19.2-1"}, {"npm", "10.9"}})) ==
        "npm is new in the image");
  CHECK(reason_to_rebuild(old, image("node run, Debian trixie", {})) ==
        "node is not in the image any more");
  CHECK(reason_to_rebuild({old.version, std::nullopt}, old) ==
        "the versions in the image that it runs on are not known");
}
