"""Reads files of an image without mounting it: plain erofs, as mkfs.erofs makes it without compression.

Source: Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h of Linux 6.1.
"""
import stat
import struct

from .base import Unusable

MAGIC = 0xE0F5E1E2
PLAIN, INLINE = 0, 2  # of the layouts of a file's bytes: in blocks; in blocks, but the last of them behind the inode
MOST_LINKS = 16


class Image:
    """An erofs image. Its calls raise Unusable when it is none, or is of a kind that we do not make."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            file.seek(1024)
            head = file.read(128)
        if len(head) < 128 or struct.unpack_from("<I", head)[0] != MAGIC:
            raise Unusable(f"{path} is no erofs image")
        self.block = 1 << head[12]
        self.root = struct.unpack_from("<H", head, 14)[0]
        self.inodes = struct.unpack_from("<I", head, 40)[0] * self.block

    def _at(self, position, count):
        with open(self.path, "rb") as file:
            file.seek(position)
            found = file.read(count)
        if len(found) != count:
            raise Unusable(f"{self.path} is cut short")
        return found

    def _inode(self, number):
        """Its mode and bytes."""
        begin = self.inodes + 32 * number
        head = self._at(begin, 32)
        form, attributes, mode = struct.unpack_from("<HHH", head)
        long, layout = form & 1, form >> 1 & 7
        size = struct.unpack_from("<Q" if long else "<I", head, 8)[0]
        first = struct.unpack_from("<I", head, 16)[0] * self.block
        if stat.S_IFMT(mode) not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
            return mode, b""
        if layout == PLAIN:
            return mode, self._at(first, size)
        if layout != INLINE:
            raise Unusable(f"{self.path} is compressed or in chunks (layout {layout}), which our images are not")
        behind = begin + (64 if long else 32) + (12 + 4 * (attributes - 1) if attributes else 0)
        whole = max(size - 1, 0) // self.block * self.block
        return mode, (self._at(first, whole) if whole else b"") + self._at(behind, size - whole)

    def _names(self, folder):
        """Name -> number of the inode. Each block of a folder has its own table of entries, and behind it their names."""
        for start in range(0, len(folder), self.block):
            block = folder[start:start + self.block]
            count = struct.unpack_from("<H", block, 8)[0] // 12
            places = [struct.unpack_from("<H", block, 12 * i + 8)[0] for i in range(count)] + [len(block)]
            for i in range(count):
                yield block[places[i]:places[i + 1]].split(b"\0")[0].decode(errors="surrogateescape"), \
                    struct.unpack_from("<Q", block, 12 * i)[0]

    def read(self, path):
        """The bytes of the file at @path, through symbolic links; nothing if there is none."""
        left, trail, links = path.strip("/").split("/"), [self.root], 0
        while left:
            name = left.pop(0)
            if name in ("", "."):
                continue
            if name == "..":
                trail = trail[:-1] or [self.root]
                continue
            mode, folder = self._inode(trail[-1])
            number = dict(self._names(folder)).get(name) if stat.S_ISDIR(mode) else None
            if number is None:
                return None
            mode, target = self._inode(number)
            if not stat.S_ISLNK(mode):
                trail.append(number)
                continue
            links += 1
            if links > MOST_LINKS:
                return None
            if target.startswith(b"/"):
                trail = [self.root]
            left = target.decode().strip("/").split("/") + left
        mode, content = self._inode(trail[-1])
        return content if stat.S_ISREG(mode) else None
