"""What VMs begin with beside kernel and image: the initrd, and empty disks."""
import os
import shutil
import subprocess

from .base import EPOCH, FS_UUID, WRONG_USE, die, digest_of, run


def archive(root, file, output):
    """@root as a cpio archive for the initramfs: equal trees give equal bytes."""
    for path in sorted(root.rglob("*")) + [root]:
        os.utime(path, (int(EPOCH), int(EPOCH)))
    names = b"".join(str(p.relative_to(root)).encode() + b"\0" for p in sorted(root.rglob("*")))
    with open(file, "wb") as out:
        subprocess.run(["cpio", "--null", "--create", "--format=newc", "--reproducible", "--owner=0:0", "--quiet"],
                       input=names, stdout=out, stderr=output, cwd=root, check=True)
    return file


def initrd(store, init, modules):
    """karreg-init, and before it the archive of the kernel's modules, if it has any: the kernel unpacks one after the
    other."""
    if not init.exists():
        die(f"{init} is missing: build the target karreg-init first, or name it with --init", WRONG_USE)

    def maker(work, output):
        root = work / "root"
        root.mkdir()
        shutil.copy(init, root / "init")
        os.chmod(root / "init", 0o755)
        (root / "dev").mkdir()
        os.mknod(root / "dev" / "console", 0o600 | 0o020000, os.makedev(5, 1))
        archive(root, work / "init.cpio", output)
        with open(work / "initrd", "wb") as file:
            if modules:
                file.write((store.out / "blobs" / modules["digest"]).read_bytes())
            file.write((work / "init.cpio").read_bytes())
        return work / "initrd", "karreg-init" + (f", modules of {modules['version']}" if modules else "")

    return store.make("initrd", maker, archive, EPOCH, digest_of(init), modules and modules["digest"])


def template(store, label, mebibytes, journal):
    """An empty ext4 file system, sparse; overlays of instances begin with it."""

    def maker(work, output):
        file = work / "template"
        with open(file, "wb") as sparse:
            sparse.truncate(mebibytes << 20)
        features = [] if journal else ["-O", "^has_journal"]
        run(output, "mkfs.ext4", "-q", "-F", "-m", "0", "-U", FS_UUID, *features, "-E",
            # Else each guest would begin with zeroing inode tables that are zero.
            f"hash_seed={FS_UUID},assume_storage_prezeroed=1,nodiscard,root_owner=0:0", file,
            env=dict(os.environ, E2FSPROGS_FAKE_TIME=EPOCH))
        return file, f"{mebibytes} MiB ext4"

    return store.make(label, maker, EPOCH, FS_UUID, mebibytes, journal)
