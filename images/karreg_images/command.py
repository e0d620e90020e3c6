"""The command line of images/build."""
import argparse
import os
import pathlib
import sys

from .base import FAILED, HERE, digest_of
from .catalogue import load_catalogue, rows
from .making import add_some, make_all


def list_all(arguments):
    for name, row in rows(load_catalogue(arguments.out)):
        print(f"{name:16} {row['bytes'] >> 20:6} MiB  {row['digest'][:16]}  {row['version']}")


def verify_all(arguments):
    bad = 0
    for name, row in rows(load_catalogue(arguments.out)):
        file = arguments.out / "blobs" / row["digest"]
        good = file.exists() and digest_of(file) == row["digest"]
        bad += not good
        print(f"{'ok ' if good else 'BAD'} {name}")
    sys.exit(FAILED if bad else 0)


def main(text):
    """@text: the help of images/build."""
    # Not below /root: QEMU runs as a user of its own and must reach the blobs.
    usual = "/var/cache/karreg" if os.geteuid() == 0 else pathlib.Path.home() / ".cache/karreg"
    cache = pathlib.Path(os.environ.get("KARREG_CACHE_DIR") or usual)
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["make", "add", "list", "verify"], default="make")
    parser.add_argument("names", nargs="*", help="of `add`: runtimes, such as php or node-22")
    parser.add_argument("--out", type=pathlib.Path, default=cache / "images")
    parser.add_argument("--init", type=pathlib.Path, default=HERE.parent / "build/debug/bin/karreg-init")
    parser.add_argument("--only", default="")
    parser.add_argument("--fresh", action="store_true", help="make the runtimes again, from today's packages")
    parser.add_argument("--share", type=pathlib.Path, help="another store on the same disk: what it has is linked, not made")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--stock-kernel", action="store_const", const="stock", dest="kernel",
                       help="Debian's cloud kernel, from now on; boots more slowly, needs no compiler")
    kinds.add_argument("--own-kernel", action="store_const", const="own", dest="kernel", help="ours, from now on (the default)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    arguments.out = arguments.out.resolve()
    {"make": make_all, "add": add_some, "list": list_all, "verify": verify_all}[arguments.what](arguments)
