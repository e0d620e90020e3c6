"""Mounts of a making. mmdebstrap mounts /dev/shm and others of this machine into the image that it makes: whoever removes the folder
of a making that was killed would empty them."""
import ctypes
import os
import subprocess

from .base import WRONG_USE, die

CLONE_NEWNS = 0x00020000
MS_REC, MS_SLAVE = 0x4000, 0x80000


def take_own():
    """From now on what this process and its children mount is theirs alone, and is gone when they end, however they end."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, MS_REC | MS_SLAVE, None) != 0:
        die(f"making images needs mounts of its own (unshare(2)): {os.strerror(ctypes.get_errno())}", WRONG_USE)


def below(folder):
    """Where something is mounted at @folder or below it, the innermost last."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        points = [line.split()[4].replace("\\040", " ") for line in file]
    return [point for point in points if point == str(folder) or point.startswith(f"{folder}/")]


def remove_tree(folder):
    """Removes @folder, and nothing of what is mounted in it: that is unmounted first."""
    for point in reversed(below(folder)):
        subprocess.run(["umount", "--lazy", point], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    if not below(folder):
        subprocess.run(["rm", "-rf", "--one-file-system", "--", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       check=False)
