"""The kernel: ours, from Debian's source, or Debian's own with its modules."""
import os
import pathlib
import re
import shutil
import subprocess

from .base import EPOCH, HERE, NO_OWN_KERNEL, Unusable, die, query, run
from .disks import archive

# What a VM of ours needs and a kernel of Debian may have as modules, in any order.
STOCK_MODULES = ["virtio_pci", "virtio_console", "virtio_blk", "virtio_net", "virtio_rng", "virtio_balloon", "af_packet", "ext4",
                 "erofs", "overlay"]


def check_kernel_config(wanted, made):
    """Kconfig drops what it does not know or cannot satisfy without a word."""
    unset = {line.split()[1]: line for line in wanted.splitlines() if line.startswith("# CONFIG_")}
    lines = set(made.splitlines())
    missing = [line for line in wanted.splitlines() if line.startswith("CONFIG_") and line not in lines]
    missing += [line for name, line in unset.items() if any(have.startswith(f"{name}=") for have in lines)]
    if missing:
        raise Unusable("its configuration does not take these lines of images/kernel/karreg.config: " + "; ".join(missing))


def kernel(store, jobs):
    config = (HERE / "kernel" / "karreg.config").read_text()
    package = "linux-source-6.1"
    version = query("dpkg-query", "-W", "-f", "${Version}", package, code=NO_OWN_KERNEL).strip()
    if not version:
        die(f"the package {package} is not installed: apt-get install {package}", NO_OWN_KERNEL)

    def maker(work, output):
        run(output, "tar", "-xf", f"/usr/src/{package}.tar.xz", "-C", work)
        tree = work / package
        run(output, "make", "-s", "tinyconfig", cwd=tree)
        run(output, "scripts/kconfig/merge_config.sh", "-m", ".config", HERE / "kernel" / "karreg.config", cwd=tree)
        run(output, "make", "-s", "olddefconfig", cwd=tree)
        check_kernel_config(config, (tree / ".config").read_text())
        stamp = dict(os.environ, KBUILD_BUILD_TIMESTAMP="2023-11-14", KBUILD_BUILD_USER="karreg",
                     KBUILD_BUILD_HOST="karreg")
        run(output, "make", f"-j{jobs}", "vmlinux", cwd=tree, env=stamp)
        run(output, "strip", "--strip-debug", tree / "vmlinux")
        return tree / "vmlinux", f"{version} (karreg)", config

    return store.make("kernel", maker, check_kernel_config, config, version, code=NO_OWN_KERNEL)


def unpacked_vmlinux(image, work, output):
    """The ELF file inside a bzImage (Documentation/x86/boot.rst): where the header says, compressed by one of several
    tools, followed by its size."""
    begin = (image[0x1f1] + 1) * 512 + int.from_bytes(image[0x248:0x24c], "little")
    payload = image[begin:begin + int.from_bytes(image[0x24c:0x250], "little")]
    for magic, tool in ((b"\x02!L\x18", "lz4"), (b"\xfd7zXZ\x00", "xz"), (b"(\xb5/\xfd", "zstd"), (b"\x1f\x8b", "gzip")):
        if payload.startswith(magic):
            break
    else:
        raise Unusable("it is compressed in a way that we do not know")
    (work / "payload").write_bytes(payload[:-4])
    with open(work / "vmlinux", "wb") as file:
        subprocess.run([tool, "-dc", work / "payload"], stdout=file, stderr=output, check=True)
    size = (work / "vmlinux").stat().st_size
    if size != int.from_bytes(payload[-4:], "little"):
        raise Unusable(f"{tool} gave {size} bytes of {int.from_bytes(payload[-4:], 'little')}")
    with open(work / "vmlinux", "rb") as file:
        if file.read(4) != b"\x7fELF":
            raise Unusable("what is in it is no ELF file")
    return work / "vmlinux"


def module_order(folder):
    """Which of STOCK_MODULES are files below @folder, each after those that it needs."""
    plain = lambda name: name.replace("-", "_")
    files = {plain(p.stem): p for p in folder.rglob("*.ko")}
    built_in = {plain(pathlib.Path(line).stem) for line in (folder / "modules.builtin").read_text().split()}
    order = []

    def add(name):
        if name in built_in or any(plain(p.stem) == name for p in order):
            return
        if name not in files:
            raise Unusable(f"it has no module {name}")
        # What modinfo shows: words of the section .modinfo, each ended by a zero byte.
        for needed in re.search(rb"\0depends=([^\0]*)\0", files[name].read_bytes())[1].decode().split(","):
            if needed:
                add(plain(needed))
        order.append(files[name])

    for name in STOCK_MODULES:
        add(name)
    return order


def stock_kernel(store):
    """Debian's cloud kernel as it comes, and what of it is in modules, as an archive for the initrd: for those who
    cannot compile one."""
    found = re.search(r"Depends: (linux-image-\S+)", query("apt-cache", "depends", "linux-image-cloud-amd64"))
    if found is None:
        die("apt knows no Debian kernel of the name linux-image-cloud-amd64; run apt-get update")
    name = found[1]
    version = re.search("^Version: (.*)$", query("apt-cache", "show", "--no-all-versions", name), re.MULTILINE)[1]

    def unpack(work, output):
        run(output, "apt-get", "download", f"{name}={version}", cwd=work)
        run(output, "dpkg-deb", "-x", next(work.glob("*.deb")), work / "x")
        return work / "x"

    def vmlinux(work, output):
        image = next((unpack(work, output) / "boot").glob("vmlinuz-*")).read_bytes()
        return unpacked_vmlinux(image, work, output), f"{version} (Debian)", f"{name} {version}\n"

    def modules(work, output):
        order = module_order(next((unpack(work, output) / "lib/modules").iterdir()))
        folder = work / "root/modules"
        folder.mkdir(parents=True)
        for file in order:
            shutil.copy(file, folder)
        (folder / "order").write_text("".join(f"{file.name}\n" for file in order))
        return archive(work / "root", work / "modules.cpio", output), f"{version} (Debian)", f"{name} {version}\n"

    return (store.make("stock kernel", vmlinux, unpack, unpacked_vmlinux, name, version),
            store.make("modules of the stock kernel", modules, unpack, module_order, archive, STOCK_MODULES, EPOCH, name,
                       version))
