"""The peer of `./dev bench boot`: a machine as one gets it from Debian.

Its root file system has the cloud kernel, the initramfs that update-initramfs makes, systemd, networkd with DHCP, and each
app as a systemd service. It is spared what would only slow it: a boot loader (QEMU loads kernel and initramfs), cloud-init,
ssh, cron, the first boot's own work, IPv6. Suite, runtime packages and the command of each app are those of our images.
Made once, under <cache>/bench/peer-<digest of the recipe>.
"""
import hashlib
import json
import os
import pathlib
import shutil
import sys
import tempfile

from figures import CACHE, ROOT, say
from running_platform import bounded

sys.path.insert(0, str(ROOT / "images"))
from karreg_images.runtimes import NOT_NEEDED, debian_sources  # noqa: E402: it knows Debian's mirrors

DISK_MB = 3072
PACKAGES = ["systemd", "systemd-sysv", "udev", "dbus", "kmod", "e2fsprogs", "iproute2", "netbase", "initramfs-tools", "zstd",
            "linux-image-cloud-amd64", "bash", "mount"]
# What one app is: the example, the command that the platform runs for it, and its environment beside PORT.
APPS = {
    "node": {"example": "hello-node", "command": "node server.js",
             "env": {"NODE_ENV": "production", "PATH": "/srv/node/node_modules/.bin:/usr/local/bin:/usr/bin:/bin",
                     "npm_package_name": "hello-node", "npm_package_version": "1"}},
    "static": {"example": "hello-static", "command": "/usr/lib/karreg/serve-static /srv/static", "env": {}},
}
# The first thing that PID 1 of the initramfs runs.
INITRAMFS_MARK = """#!/bin/sh
[ "$1" = prereqs ] || echo bench-mark pid1 >/dev/ttyS0
"""
# Says when the app listens on port 8080 (0x1f90); one process without children, so that it costs next to nothing.
LISTENING_MARK = """#!/bin/bash
coproc never { read -r; }
for ((i = 0; i < 3000; i++)); do
  while read -r _ local _ state _; do
    if [[ $local == *:1F90 && $state == 0A ]]; then
      echo bench-mark listening >/dev/ttyS0
      exit 0
    fi
  done </proc/net/tcp
  read -r -t 0.05 -u "${never[0]}"
done
"""
# A service that needs the network, as the usual guide writes it; our guest has its network before the app starts, too.
UNIT = """[Unit]
Description=the example @example
ConditionKernelCommandLine=bench.app=@name
Wants=network-online.target
After=network-online.target

[Service]
User=app
SupplementaryGroups=dialout
WorkingDirectory=/srv/@name
Environment=PORT=8080 @env
ExecStart=/bin/sh -c 'echo bench-mark exec >/dev/ttyS0; exec @command'
ExecStartPost=+/bin/sh -c '/usr/local/sbin/bench-listening &'
Restart=on-failure

[Install]
WantedBy=multi-user.target
"""
NETWORK = """[Match]
Type=ether

[Network]
DHCP=ipv4
IPv6AcceptRA=no
LinkLocalAddressing=no
"""


def recipe():
    """Everything that decides what the disk holds, but for the packages of the day."""
    runtimes = {name: json.loads((ROOT / "images" / "runtimes" / f"{name}.json").read_text()) for name in APPS}
    files = [ROOT / "images" / "files" / "serve-static", pathlib.Path(__file__)]
    for app in APPS.values():
        files += sorted(p for p in (ROOT / "examples" / app["example"]).rglob("*") if p.is_file())
    # Our images hold the runtime of a certain day: with another one the peer is made again.
    versions = json.loads((CACHE / "images" / "catalogue.json").read_text())["runtimes"]
    digest = hashlib.sha256()
    digest.update(json.dumps(NOT_NEEDED).encode())
    for name in APPS:
        digest.update(json.dumps([runtimes[name], versions[name]["versions"]], sort_keys=True).encode())
    for file in files:
        digest.update(f"{file.name}\0".encode() + file.read_bytes())
    return runtimes, digest.hexdigest()[:20]


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def put_files(overlay):
    """Everything of ours in the peer, as a tree that is copied over its root."""
    write(overlay / "etc/initramfs-tools/scripts/init-top/bench", INITRAMFS_MARK, 0o755)
    write(overlay / "usr/local/sbin/bench-listening", LISTENING_MARK, 0o755)
    write(overlay / "etc/systemd/network/10-dhcp.network", NETWORK)
    write(overlay / "etc/fstab", "/dev/vda / ext4 errors=remount-ro 0 1\n")
    write(overlay / "etc/hostname", "peer\n")
    write(overlay / "etc/hosts", "127.0.0.1 localhost peer\n")
    # A machine that was booted before.
    write(overlay / "etc/machine-id", "6b6172726567400080000000000000be\n")
    write(overlay / "usr/lib/karreg/serve-static", (ROOT / "images" / "files" / "serve-static").read_text(), 0o755)
    for name, app in APPS.items():
        shutil.copytree(ROOT / "examples" / app["example"], overlay / "srv" / name)
        unit = UNIT.replace("@name", name)
        for key, value in (("example", app["example"]), ("command", app["command"]),
                           ("env", " ".join(f"{k}={v}" for k, v in app["env"].items()))):
            unit = unit.replace(f"@{key}", value)
        write(overlay / f"etc/systemd/system/bench-{name}.service", unit)


def make(folder, runtimes, work):
    suites = {r["suite"] for r in runtimes.values()}
    if len(suites) != 1:
        raise SystemExit("the runtimes are of different Debian releases: the peer needs a disk for each")
    suite = suites.pop()
    overlay, root = work / "overlay", work / "root"
    put_files(overlay)
    packages = PACKAGES + [p for r in runtimes.values() for p in r["run"]]
    units = " ".join(f"bench-{name}.service" for name in APPS)
    # Files first, so that the kernel's package makes an initramfs with the mark in it.
    command = ["mmdebstrap", "--mode=root", "--variant=minbase", "--quiet", f"--include={','.join(packages)}",
               "--aptopt=Acquire::Languages \"none\"", "--aptopt=APT::Install-Recommends \"false\"",
               *(f"--dpkgopt=path-exclude={pattern}" for pattern in NOT_NEEDED),
               # nginx's own service must not take part: the app's command runs it.
               f"--essential-hook=cp -a {overlay}/. \"$1\"",
               "--customize-hook=chroot \"$1\" useradd --create-home --shell /bin/bash app",
               "--customize-hook=chroot \"$1\" systemctl disable nginx.service",
               "--customize-hook=chroot \"$1\" systemctl enable systemd-networkd.service "
               f"systemd-networkd-wait-online.service {units}",
               suite, root, *debian_sources(suite)]
    bounded(*command, seconds=1800)
    # What mmdebstrap leaves of its own host.
    for name in ("etc/hostname", "etc/hosts", "etc/machine-id", "etc/fstab"):
        shutil.copy(overlay / name, root / name)
    # A machine that was booted since its /usr changed: else systemd does the work of an update in every boot
    # (ConditionNeedsUpdate= in systemd.unit(5)).
    updated = (root / "usr").stat().st_mtime + 1
    for folder_of_mark in ("etc", "var"):
        (root / folder_of_mark / ".updated").touch()
        os.utime(root / folder_of_mark / ".updated", (updated, updated))
    shutil.rmtree(root / "var/cache/apt", ignore_errors=True)
    shutil.rmtree(root / "var/lib/apt/lists", ignore_errors=True)
    shutil.copy(next((root / "boot").glob("vmlinuz-*")), folder / "vmlinuz")
    shutil.copy(next((root / "boot").glob("initrd.img-*")), folder / "initrd")
    versions = bounded("dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", "${Package} ${Version}\n")
    (folder / "packages.txt").write_text(versions)
    with open(folder / "disk", "wb") as disk:
        disk.truncate(DISK_MB << 20)
    # As for the disks of our VMs (images/build): no inode tables to be zeroed while it boots.
    bounded("mkfs.ext4", "-q", "-F", "-E", "assume_storage_prezeroed=1,nodiscard", "-d", root, folder / "disk")


def peer_folder():
    """The folder with `disk`, `vmlinuz`, `initrd` and `packages.txt`; made when this recipe has none yet."""
    runtimes, digest = recipe()
    folder = CACHE / "bench" / f"peer-{digest}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        say("making the peer's disk from Debian packages (once, some two minutes)")
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as work:
            fresh = pathlib.Path(work, "peer")
            fresh.mkdir()
            make(fresh, runtimes, pathlib.Path(work))
            fresh.rename(folder)
        for old in folder.parent.glob("peer-*"):
            if old != folder:
                shutil.rmtree(old)
    return folder


def version_of(folder, package):
    for line in (folder / "packages.txt").read_text().splitlines():
        if line.startswith(f"{package} "):
            return line.split(" ", 1)[1]
    return None
