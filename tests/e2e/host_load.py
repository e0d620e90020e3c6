#!/usr/bin/env python3
"""What a platform takes of this host, looked at while something happens.

  host_load.py DATA FILE    looks until it gets SIGTERM; then FILE holds one JSON object (none when the parent ends first):

{"memory_mb": {"karreg-api": 41, "git": 70, ...}, "disk_mb": 512, "grown_mb": 3, "looks": 93}

memory_mb: of each program of the platform the most that one process of it had resident at a look; children count under their
own names, virtual machines (whose memory their flavor bounds) do not count. disk_mb: the most that the data folder took beyond
its size at the first look; grown_mb: what it took beyond that at the last.
"""
import json
import os
import pathlib
import signal
import sys
import time

PAUSE_S = 0.1
DISK_PAUSE_S = 1.0
PAGE = os.sysconf("SC_PAGE_SIZE")


def processes() -> dict[int, tuple[str, int, int]]:
    """pid -> (name, parent, resident bytes) of all processes."""
    found = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            stat = pathlib.Path(entry.path, "stat").read_text(errors="replace")
        except OSError:
            continue  # it has ended
        name, rest = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 2 :].split()
        found[int(entry.name)] = (name, int(rest[1]), int(rest[21]) * PAGE)
    return found


def below(root: int, all_of: dict[int, tuple[str, int, int]]) -> set[int]:
    """The processes that descend from `root`."""
    family = {root}
    grown = True
    while grown:
        more = {pid for pid, (_, parent, _) in all_of.items() if parent in family} - family
        family |= more
        grown = bool(more)
    return family


def taken(folder: pathlib.Path) -> int:
    """Bytes on the disk, holes not counted, of what is below `folder`; one file with two names counts once."""
    seen, total = set(), 0
    for path, folders, files in os.walk(folder):
        for name in files + folders:
            try:
                info = os.lstat(os.path.join(path, name))
            except OSError:
                continue
            if (info.st_dev, info.st_ino) not in seen:
                seen.add((info.st_dev, info.st_ino))
                total += info.st_blocks * 512
    return total


def main() -> None:
    data, result = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    going = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    supervisor = int((data / "supervisor/supervisord.pid").read_text())
    parent = os.getppid()
    memory: dict[str, int] = {}
    first = most = taken(data)
    looks, next_disk = 0, time.monotonic() + DISK_PAUSE_S
    while going:
        if os.getppid() != parent:
            return
        now = processes()
        for pid in below(supervisor, now):
            name, _, resident = now.get(pid, ("", 0, 0))
            if not name.startswith("qemu"):
                memory[name] = max(memory.get(name, 0), resident)
        looks += 1
        if time.monotonic() >= next_disk:
            most = max(most, taken(data))
            next_disk = time.monotonic() + DISK_PAUSE_S
        time.sleep(PAUSE_S)  # not a wait: between two looks
    last = taken(data)
    result.write_text(
        json.dumps(
            {
                "memory_mb": {name: size >> 20 for name, size in sorted(memory.items()) if name},
                "disk_mb": (max(most, last) - first) >> 20,
                "grown_mb": (last - first) >> 20,
                "looks": looks,
            }
        )
        + "\n"
    )


main()
