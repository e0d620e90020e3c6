#include "hypervisor-agent/domain_xml.hpp"

#include <fmt/format.h>

namespace karreg::agent {

namespace {
std::string escaped(const std::string& text) {
  std::string result;
  for (char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '\'':
        result += "&apos;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string disk_xml(const DomainDisk& disk, std::size_t index) {
  const char letter = static_cast<char>('a' + index);
  return fmt::format(
      "    <disk type='file' device='disk'>\n"
      "      <driver name='qemu' type='{}' cache='writeback' io='threads' discard='unmap'{}/>\n"
      "      <source file='{}'/>\n"
      "      <target dev='vd{}' bus='virtio'/>\n"
      "      <serial>{}</serial>\n{}"
      "    </disk>\n",
      disk.format, disk.full_is_error ? " error_policy='report'" : "", escaped(disk.path), letter,
      disk.serial, disk.read_only ? "      <readonly/>\n      <shareable/>\n" : "");
}

/// KVM: the host's processor, but for a capability register that nested hosts refuse to read (it
/// tells of mitigations, which guests of ours run without). Emulation: one of the level x86-64-v2
/// (psABI): the one that QEMU emulates by default lacks instructions that Bun and other programs
/// need.
std::string cpu_xml(bool kvm) {
  if (!kvm)
    return "  <cpu mode='custom' match='exact' check='none'>\n"
           "    <model fallback='forbid'>Nehalem</model>\n"
           "  </cpu>\n";
  return "  <cpu mode='host-passthrough' check='none'>\n"
         "    <feature policy='disable' name='arch-capabilities'/>\n"
         "  </cpu>\n";
}
}  // namespace

std::string kernel_command_line(bool kvm, int vcpus) {
  // One VM runs one tenant's code: CPU mitigations inside it protect nobody (the host keeps its
  // own).
  std::string line =
      "console=ttyS0 quiet loglevel=4 panic=-1 reboot=t mitigations=off random.trust_cpu=on "
      "no_timer_check";
  if (!kvm && vcpus == 1) line += " noreplace-smp nolapic_timer";
  return line;
}

std::string domain_xml(const DomainSpec& spec) {
  std::string disks;
  for (std::size_t i = 0; i < spec.disks.size(); ++i) disks += disk_xml(spec.disks[i], i);
  std::string network;
  if (!spec.network_socket.empty()) {
    network = fmt::format(
        "  <qemu:commandline>\n"
        "    <qemu:arg value='-netdev'/>\n"
        "    <qemu:arg value='stream,id=net0,server=off,addr.type=unix,addr.path={}'/>\n"
        "    <qemu:arg value='-device'/>\n"
        "    <qemu:arg value='virtio-net-pci,netdev=net0,mac={},romfile=,addr=0x1e'/>\n"
        "  </qemu:commandline>\n",
        escaped(spec.network_socket), spec.mac);
  }
  return fmt::format(
      "<domain type='{}' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n"
      "  <name>{}</name>\n"
      "  <memory unit='MiB'>{}</memory>\n"
      "  <vcpu>{}</vcpu>\n"
      "  <os>\n"
      "    <type arch='x86_64' machine='pc'>hvm</type>\n"
      "    <kernel>{}</kernel>\n"
      "    <initrd>{}</initrd>\n"
      "    <cmdline>{}</cmdline>\n"
      "  </os>\n"
      "  <features><acpi/></features>\n"
      "{}"
      "  <on_poweroff>destroy</on_poweroff>\n"
      "  <on_reboot>destroy</on_reboot>\n"
      "  <on_crash>destroy</on_crash>\n"
      "  <devices>\n"
      "    <emulator>/usr/bin/qemu-system-x86_64</emulator>\n"
      "    <controller type='usb' model='none'/>\n"
      "    <memballoon model='none'/>\n"
      "{}"
      "    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>\n"
      "    <channel type='unix'>\n"
      "      <source mode='bind' path='{}'/>\n"
      "      <target type='virtio' name='org.karreg.agent.0'/>\n"
      "    </channel>\n"
      "    <serial type='file'><source path='{}' append='on'/><target port='0'/></serial>\n"
      "  </devices>\n"
      "{}"
      "</domain>\n",
      spec.kvm ? "kvm" : "qemu", escaped(spec.name), spec.memory_mb, spec.vcpus,
      escaped(spec.kernel), escaped(spec.initrd), escaped(spec.command_line), cpu_xml(spec.kvm),
      disks, escaped(spec.channel_socket), escaped(spec.console_log), network);
}

}  // namespace karreg::agent
