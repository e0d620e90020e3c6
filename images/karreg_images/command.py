"""The command line of images/build."""
import argparse
import os
import pathlib

from .base import HERE, WRONG_USE, die
from .diff import print_difference
from .listing import list_all
from .making import add_some, make_all
from .outdated import print_outdated
from .prune import prune
from .sbom import print_sbom
from .verify import verify_all

# Command -> what does it, how many names it takes (at least, at most), and its own options.
MAKING = ("only", "fresh", "share", "kernel")
COMMANDS = {
    "make": (make_all, (0, 0), MAKING),
    "add": (add_some, (1, 1000), ("fresh", "share", "packages", "build_packages")),
    "list": (list_all, (0, 0), ("json",)),
    "sbom": (print_sbom, (1, 1), ("build",)),
    "diff": (print_difference, (2, 2), ("build", "json")),
    "outdated": (print_outdated, (0, 0), ("json",)),
    "verify": (verify_all, (0, 0), ()),
    "prune": (prune, (0, 0), ("dry_run", "keep_days", "in_use", "nothing_in_use")),
}
NAMES = {"add": "the runtimes", "sbom": "one image", "diff": "two images"}


def parser(text):
    # Not below /root: QEMU runs as a user of its own and must reach the blobs.
    usual = "/var/cache/karreg" if os.geteuid() == 0 else pathlib.Path.home() / ".cache/karreg"
    cache = pathlib.Path(os.environ.get("KARREG_CACHE_DIR") or usual)
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("what", nargs="?", choices=list(COMMANDS), default="make")
    made.add_argument("names", nargs="*", help="of `add`: runtimes, such as php or node-22; of `sbom` and `diff`: runtimes, or "
                      "digests of images, or DIR:NAME of the store in another folder")
    made.add_argument("--out", type=pathlib.Path, default=cache / "images")
    made.add_argument("--init", type=pathlib.Path, default=HERE.parent / "build/debug/bin/karreg-init")
    made.add_argument("--only", default="")
    made.add_argument("--fresh", action="store_true", help="make the runtimes again, from today's packages")
    made.add_argument("--packages", default="", metavar="NAME,...",
                      help="of `add`: packages of Debian beside those of the runtime, as a runtime of its own")
    made.add_argument("--build-packages", default="", metavar="NAME,...", help="of `add`: the same, in the build image alone")
    made.add_argument("--share", type=pathlib.Path, help="another store on the same disk: what it has is linked, not made")
    kinds = made.add_mutually_exclusive_group()
    kinds.add_argument("--stock-kernel", action="store_const", const="stock", dest="kernel",
                       help="Debian's cloud kernel, from now on; boots more slowly, needs no compiler")
    kinds.add_argument("--own-kernel", action="store_const", const="own", dest="kernel", help="ours, from now on (the default)")
    made.add_argument("--jobs", type=int, default=os.cpu_count())
    made.add_argument("--json", action="store_true", help="of `list`, `diff` and `outdated`: for programs")
    made.add_argument("--build", action="store_true", help="of `sbom` and `diff`: the image that apps are built on, not run on")
    made.add_argument("--in-use", action="append", default=[], metavar="FILE",
                      help="of `prune`: what `karreg-builder images-in-use` prints; \"-\" is the standard input; repeatable")
    made.add_argument("--nothing-in-use", action="store_true", help="of `prune`: no platform uses this store")
    made.add_argument("--keep-days", type=int, default=7, help="of `prune`: what was needed in the last days stays (default: 7)")
    made.add_argument("--dry-run", action="store_true", help="of `prune`: only say what would go")
    return made


def check(arguments, defaults):
    """What is given and would be ignored is a misunderstanding."""
    what = arguments.what
    _, (least, most), own = COMMANDS[what]
    if not least <= len(arguments.names) <= most:
        die(f"{what}: name {NAMES[what]}" if what in NAMES else f"{what} takes no names: {' '.join(arguments.names)}", WRONG_USE)
    for option in {name for _, _, options in COMMANDS.values() for name in options} - set(own):
        if getattr(arguments, option) != defaults[option]:
            option = "stock-kernel or --own-kernel" if option == "kernel" else option.replace("_", "-")
            die(f"{what} has no option --{option}", WRONG_USE)


def main(text):
    """@text: the help of images/build."""
    ours = parser(text)
    arguments = ours.parse_intermixed_args()
    check(arguments, vars(ours.parse_args([])))
    arguments.out = arguments.out.resolve()
    COMMANDS[arguments.what][0](arguments)
