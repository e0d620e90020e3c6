#include "hypervisor-agent/domain_xml.hpp"

#include <catch2/catch.hpp>

using namespace karreg::agent;
using Catch::Matchers::Contains;

namespace {
DomainSpec a_domain() {
  DomainSpec spec;
  spec.name = "karreg-instance_1";
  spec.memory_mb = 512;
  spec.vcpus = 1;
  spec.kernel = "/images/k";
  spec.initrd = "/images/i";
  spec.command_line = "quiet";
  spec.disks = {{"image", "/images/r", "raw", true}, {"scratch", "/vms/1/s.qcow2", "qcow2", false}};
  spec.channel_socket = "/s/1.guest";
  spec.console_log = "/vms/1/console.log";
  spec.network_socket = "/s/1.net";
  spec.mac = "52:54:00:6b:61:72";
  return spec;
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}
}  // namespace

TEST_CASE("a domain has the devices that are used and no others", "[agent]") {
  const auto xml = domain_xml(a_domain());
  CHECK_THAT(xml, Contains("<controller type='usb' model='none'/>"));
  CHECK_THAT(xml, Contains("<memballoon model='none'/>"));
  CHECK_THAT(xml, Contains("<memory unit='MiB'>512</memory>"));
  CHECK_THAT(xml, Contains("<target type='virtio' name='org.karreg.agent.0'/>"));
  CHECK_THAT(xml, Contains("<source mode='bind' path='/s/1.guest'/>"));
  CHECK_THAT(xml, Contains("addr.path=/s/1.net"));
  CHECK_THAT(xml, Contains("virtio-net-pci,netdev=net0,mac=52:54:00:6b:61:72,romfile="));
  CHECK(count(xml, "<disk ") == 2);
  CHECK(count(xml, "<graphics") + count(xml, "<video") + count(xml, "<sound") == 0);
}

TEST_CASE("every way of ending ends the domain", "[agent]") {
  const auto xml = domain_xml(a_domain());
  for (const char* way : {"poweroff", "reboot", "crash"})
    CHECK_THAT(xml, Contains(std::string("<on_") + way + ">destroy</on_" + way + ">"));
}

TEST_CASE("shared disks are read-only, told apart by serial", "[agent]") {
  const auto xml = domain_xml(a_domain());
  const auto image = xml.substr(xml.find("<disk "), xml.find("</disk>") - xml.find("<disk "));
  CHECK_THAT(image, Contains("<serial>image</serial>"));
  CHECK_THAT(image, Contains("<readonly/>"));
  CHECK_THAT(image, Contains("<shareable/>"));
  CHECK_THAT(image, Contains("type='raw'"));
  const auto scratch = xml.substr(xml.find("</disk>"));
  CHECK_THAT(scratch, Contains("<serial>scratch</serial>"));
  CHECK_THAT(scratch, Contains("type='qcow2'"));
  CHECK_THAT(scratch, !Contains("<readonly/>"));
}

TEST_CASE("a full host is an error for the guest where that is asked for, else a pause",
          "[agent]") {
  auto spec = a_domain();
  CHECK_THAT(domain_xml(spec), !Contains("error_policy"));
  spec.disks[1].full_is_error = true;
  const auto xml = domain_xml(spec);
  const auto image = xml.substr(0, xml.find("</disk>"));
  CHECK_THAT(image, !Contains("error_policy"));
  CHECK_THAT(xml.substr(image.size()), Contains("discard='unmap' error_policy='report'/>"));
}

TEST_CASE("a path cannot break out of its element", "[agent]") {
  auto spec = a_domain();
  spec.disks[0].path = "/a'/><evil b='<&>\"";
  const auto xml = domain_xml(spec);
  CHECK_THAT(xml, Contains("<source file='/a&apos;/&gt;&lt;evil b=&apos;&lt;&amp;&gt;&quot;'/>"));
  CHECK_THAT(xml, !Contains("<evil"));
}

TEST_CASE("a domain without a network has no network device", "[agent]") {
  auto spec = a_domain();
  spec.network_socket.clear();
  CHECK_THAT(domain_xml(spec), !Contains("netdev"));
}

TEST_CASE("the processor is the host's under KVM, and one of x86-64-v2 without", "[agent]") {
  auto spec = a_domain();
  CHECK_THAT(domain_xml(spec), Contains("<domain type='qemu'"));
  CHECK_THAT(domain_xml(spec), Contains("<model fallback='forbid'>Nehalem</model>"));
  spec.kvm = true;
  CHECK_THAT(domain_xml(spec), Contains("<domain type='kvm'"));
  CHECK_THAT(domain_xml(spec), Contains("<cpu mode='host-passthrough' check='none'>"));
  CHECK_THAT(domain_xml(spec), Contains("<feature policy='disable' name='arch-capabilities'/>"));
}

TEST_CASE("the timer shortcut is for one emulated processor only", "[agent]") {
  CHECK_THAT(kernel_command_line(false, 1), Contains("nolapic_timer"));
  CHECK_THAT(kernel_command_line(false, 2), !Contains("nolapic_timer"));
  CHECK_THAT(kernel_command_line(true, 1), !Contains("nolapic_timer"));
  // A clock that is believed without being checked may be wrong.
  CHECK_THAT(kernel_command_line(false, 1), !Contains("tsc="));
}
