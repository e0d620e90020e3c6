#include "hypervisor-agent/settings.hpp"

#include <catch2/catch.hpp>

using namespace karreg;
using namespace karreg::agent;

namespace {
Result<Settings> read(std::map<std::string, std::string> environment) {
  environment.emplace("KARREG_DATA_DIR", "/data");
  environment.emplace("KARREG_AGENT_IMAGES_DIR", "/images");
  auto config = Config::load(declared_settings(), "", environment);
  if (!config) return config.error();
  return read_settings(*config);
}
}  // namespace

TEST_CASE("the defaults make an agent with its own libvirt driver", "[agent]") {
  const auto settings = read({});
  REQUIRE(settings);
  CHECK(settings->libvirt_uri == "qemu:///embed?root=/data/agent/libvirt");
  CHECK(settings->embeds_libvirt());
  CHECK(settings->host_id == "host-1");
  CHECK(settings->accelerator == "auto");
  CHECK(settings->address_prefix == "127.64");
  CHECK(settings->memory_mb > 0);
  CHECK(settings->vcpus > 0);
}

TEST_CASE("a data folder with a long name gets a short one for libvirt", "[agent]") {
  const std::string data = "/" + std::string(60, 'd');
  const auto settings = read({{"KARREG_DATA_DIR", data}});
  REQUIRE(settings);
  CHECK(settings->libvirt_root == data + "/agent/libvirt");
  const std::string root = settings->libvirt_uri.substr(settings->libvirt_uri.find('=') + 1);
  CHECK(root.size() <= 51);
  CHECK(root != read({})->libvirt_uri);
  const auto other = read({{"KARREG_DATA_DIR", data + "e"}});
  REQUIRE(other);
  CHECK(other->libvirt_uri != settings->libvirt_uri);
}

TEST_CASE("a bad setting is named with what it should be", "[agent]") {
  struct Case {
    const char* name;
    std::string value;
    std::string message;
  };
  const auto cases = {
      Case{"KARREG_AGENT_HOST_ID", "Host 1",
           "setting agent.host_id = \"Host 1\" must be lower-case letters, digits and dashes"},
      Case{"KARREG_AGENT_ACCELERATOR", "xen",
           "setting agent.accelerator = \"xen\" must be auto, kvm or tcg"},
      Case{"KARREG_AGENT_ADDRESS_PREFIX", "10.0",
           "setting agent.address_prefix = \"10.0\" must be two numbers in 127.0.0.0/8, such as "
           "127.64"},
      Case{"KARREG_AGENT_ADDRESS_PREFIX", "127.300",
           "setting agent.address_prefix = \"127.300\" must be two numbers in 127.0.0.0/8, such as "
           "127.64"},
      Case{"KARREG_AGENT_ADDRESS_PREFIX", "127.0",
           "setting agent.address_prefix = \"127.0\" must be two numbers in 127.0.0.0/8, such as "
           "127.64"},
      Case{"KARREG_AGENT_EGRESS", "some",
           "setting agent.egress = \"some\" must be hosts, public or open"},
      Case{"KARREG_AGENT_EGRESS_HOSTS", "a.example *b",
           "setting agent.egress_hosts: \"*b\" is no name of a host, nor *. with one after it, "
           "nor either of them with a port"},
      Case{"KARREG_AGENT_CA_FILE", "/nowhere/ca.pem",
           "setting agent.ca_file = \"/nowhere/ca.pem\" cannot be read"},
      Case{"KARREG_DATA_DIR", "data", "setting data.dir = \"data\" must be an absolute path"},
      Case{"KARREG_DATA_DIR", "/" + std::string(81, 'd'),
           "setting data.dir = \"/" + std::string(81, 'd') +
               "\" is too long for sockets inside it: 80 characters at the most"},
  };
  for (const auto& c : cases) {
    INFO(c.name << " = " << c.value);
    const auto settings = read({{c.name, c.value}});
    REQUIRE_FALSE(settings);
    CHECK(settings.error().message() == c.message);
  }
}
