#!/usr/bin/env python3
"""What a making of images that was killed leaves behind: mounts of this machine, which nobody may empty. As root. Prints TAP."""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

from a_store import ROOT, a_store

from tap import Tap

from karreg_images.mounts import below

tap = Tap()

# Mounts @HOST into the folder of a making, says so, and waits for its end.
MAKER = """
import pathlib, subprocess, sys
sys.path.insert(0, sys.argv[1])
from karreg_images.mounts import take_own
if sys.argv[4] == "own":
    take_own()
point = pathlib.Path(sys.argv[3]) / "root/dev/shm"
point.mkdir(parents=True)
subprocess.run(["mount", "--bind", sys.argv[2], point], check=True)
print("mounted", flush=True)
sys.stdin.read()
"""


def kill_a_maker(store, host, kind):
    """The folder of a making that was killed in the middle, as mmdebstrap makes it; @host is what it has mounted."""
    folder = store.out / f".making-{kind}"
    with subprocess.Popen([sys.executable, "-c", MAKER, ROOT / "images", host, folder, kind], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as maker:
        maker.stdout.readline()
        maker.send_signal(signal.SIGKILL)
    return folder


def killed():
    with a_store() as store, tempfile.TemporaryDirectory(prefix="karreg-host-") as host:
        memory = pathlib.Path(host) / "memory-of-a-database"
        memory.write_text("in use")
        folder = kill_a_maker(store, host, "own")
        tap.check("a making that is killed leaves nothing mounted", folder.exists() and not below(folder), below(folder))
        folder = kill_a_maker(store, host, "shared")
        tap.check("one of before makings had mounts of their own did", below(folder) == [f"{folder}/root/dev/shm"], below(folder))
        code, out, said = store.call("prune", "--nothing-in-use")
        tap.check("the next one clears that away", code == 0 and not folder.exists() and not below(folder), out, said)
        tap.check("and takes nothing of what is this machine's", memory.exists() and memory.read_text() == "in use")
        tap.check("its other remains go, too", not list(store.out.glob(".making-*")))


if os.geteuid() == 0:
    killed()
else:
    tap.skip("a making that is killed leaves nothing mounted", "mounting needs root")
sys.exit(tap.code())
