#include "images/guest/image_config.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <stdexcept>

using namespace karreg::guest;

namespace {

const std::string passwd =
    "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102::/srv:/bin/false\n7:x:33:34::/odd:\nbad:x:a:b::/"
    ":\n";
const std::string group = "root:x:0:\nweb:x:102:\nmail:x:8:web,root\nmore:x:9:web\n";

template <class Call>
std::string refusal(Call call) {
  try {
    call();
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("the configuration of an image says what is started, where and how it ends") {
  const ImageConfig config = parse_image_config(
      R"({"User":"web","Env":["PATH=/bin","EMPTY=","A=b=c"],"Entrypoint":["/run"],"Cmd":["x","y"],)"
      R"("WorkingDir":"/srv","StopSignal":"SIGQUIT","ExposedPorts":{"80/tcp":{}}})");
  CHECK(config.user == "web");
  CHECK(config.env ==
        std::map<std::string, std::string>{{"A", "b=c"}, {"EMPTY", ""}, {"PATH", "/bin"}});
  CHECK(config.start() == std::vector<std::string>{"/run", "x", "y"});
  CHECK(config.directory == "/srv");
  CHECK(config.stop_signal == SIGQUIT);

  const ImageConfig whole = parse_image_config(
      R"({"architecture":"amd64","os":"linux","config":{"Cmd":["/a"],"User":"7"},"rootfs":{}})");
  CHECK(whole.start() == std::vector<std::string>{"/a"});
  CHECK(whole.user == "7");
  CHECK(parse_image_config(R"({"os":"linux","config":null})").directory == "/");

  const ImageConfig bare = parse_image_config(R"({"Env":null,"Cmd":null,"WorkingDir":"srv"})");
  CHECK(bare.user.empty());
  CHECK(bare.directory == "/srv");
  CHECK(bare.stop_signal == SIGTERM);
  CHECK(refusal([&] { return bare.start(); }) ==
        "the image has neither ENTRYPOINT nor CMD: add one to the Dockerfile, or set "
        "CC_RUN_COMMAND");
  CHECK(parse_image_config(R"({"StopSignal":"9"})").stop_signal == SIGKILL);
  CHECK(parse_image_config(R"({"StopSignal":"RTMIN+3"})").stop_signal == SIGRTMIN + 3);
}

TEST_CASE("what is wrong in an image's configuration is told") {
  const std::string what = "the configuration of the image ";
  const auto refused = [](const std::string& json) {
    return refusal([&] { return parse_image_config(json); });
  };
  CHECK(refused("") == what + "is no JSON object");
  CHECK(refused("[]") == what + "is no JSON object");
  CHECK(refused(R"({"Cmd":"x"})") == what + "has a Cmd that is no list");
  CHECK(refused(R"({"Cmd":[1]})") == what + "has something other than texts in Cmd");
  CHECK(refused(R"({"User":1})") == what + "has a User that is no text");
  CHECK(refused(R"({"Env":["=x"]})") == what + "has a variable without a name: =x");
  CHECK(refused(R"({"StopSignal":"SIGNO"})") ==
        what + "names no signal that is known: StopSignal SIGNO");
}

TEST_CASE("an image's user is found in its own files") {
  struct Case {
    std::string user;
    unsigned uid;
    unsigned gid;
    std::vector<unsigned> groups;
    std::string home;
  };
  const auto c = GENERATE(values<Case>({
      {"", 0, 0, {8}, "/root"},
      {"root", 0, 0, {8}, "/root"},
      {"web", 101, 102, {8, 9}, "/srv"},
      {"101", 101, 102, {8, 9}, "/srv"},
      {"web:mail", 101, 8, {}, "/srv"},
      {"web:55", 101, 55, {}, "/srv"},
      {"4000", 4000, 0, {}, "/"},
      {"4000:4001", 4000, 4001, {}, "/"},
      {"7", 33, 34, {}, "/odd"},
  }));
  INFO(c.user);
  const User user = user_of(c.user, passwd, group);
  CHECK(user.uid == c.uid);
  CHECK(user.gid == c.gid);
  CHECK(user.groups == c.groups);
  CHECK(user.home == c.home);
}

TEST_CASE("an image without users has root and numbers, and no names") {
  CHECK(user_of("", "", "").uid == 0);
  CHECK(user_of("", "", "").home == "/");
  CHECK(user_of("5:6", "", "").gid == 6);
  const std::string what = "the configuration of the image has ";
  CHECK(refusal([] { return user_of("ann", passwd, group); }) ==
        what + "the user ann, whom its /etc/passwd does not have");
  CHECK(refusal([] { return user_of("web:none", passwd, group); }) ==
        what + "the group none, which its /etc/group does not have");
  CHECK(refusal([] { return user_of("bad", passwd, group); }) ==
        what + "a user whose line in /etc/passwd has no numbers");
  for (const std::string number : {"4294967295", "99999999999", "-1", "1x"})
    CHECK(refusal([&] { return user_of(number, passwd, group); }) ==
          what + "the user " + number + ", whom its /etc/passwd does not have");
}
