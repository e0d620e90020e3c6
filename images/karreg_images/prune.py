"""Keeps the store small: what nobody needs any more goes.

Needed are what the catalogue names, what today's recipes have made (a store may be in the middle of it), and what an app
boots: a version runs on the image that it was built for, whatever the catalogue names since then. Only the platform's
database knows those; `karreg-builder images-in-use` asks it. All else goes once it was not needed for some days: whoever read
an older catalogue a moment ago finds what it named.
"""
import json
import os
import pathlib
import sys
import time

from .base import FAILED, WRONG_USE, die, key_of, replace_text
from .catalogue import digests, left, load_catalogue, publish
from .listing import size
from .packages import recipes_of
from .runtimes import steps_of
from .store import Store, alone

DAY = 24 * 3600


def read_in_use(source):
    """The digests that @source names, a file or "-". A list that is cut short, as when its program failed, is refused."""
    try:
        text = sys.stdin.read() if source == "-" else pathlib.Path(source).read_text()
        found = json.loads(text)["images_in_use"]
        if not isinstance(found, list) or not all(isinstance(digest, str) for digest in found):
            raise TypeError
    except OSError as error:
        die(f"--in-use {source}: {error.strerror}", WRONG_USE)
    except (ValueError, KeyError, TypeError):
        die(f"--in-use {source}: it is not what karreg-builder images-in-use prints; nothing was removed", WRONG_USE)
    return set(found)


def made_by_todays_recipes(out, catalogue):
    found = set()
    for name, recipe in recipes_of(catalogue).items():
        for variant in ("run", "build"):
            maker, parts = steps_of(name, recipe, variant)
            made = Store.recorded(out, key_of(maker, *parts))
            found |= {made["digest"]} if made else set()
    return found


def files_in(folder):
    """Without those that are being written, or that somebody who was killed has left."""
    return [file for file in sorted(folder.iterdir()) if not file.name.startswith(".")]


def unfinished(out):
    """Files that somebody who was killed has left: they are written and renamed under the lock, which we hold."""
    return [file for name in ("recipes", "manifests") for file in sorted((out / name).glob(".*"))]


def without_unused_sets(out, catalogue, keep_days, in_use):
    """@catalogue without the runtimes with packages of apps (packages.py) that no app runs on, made more than @keep_days ago.
    Plain runtimes stay: whoever pushes next may need them."""
    def is_unused(row):
        file = out / "blobs" / row["run"]["digest"]
        old = not file.exists() or time.time() - file.stat().st_mtime >= keep_days * DAY
        return "packages" in row and row["run"]["digest"] not in in_use and old

    return catalogue | {"runtimes": {name: row for name, row in catalogue["runtimes"].items() if not is_unused(row)}}


class Pruning:
    """One look at a store, and what of it may go."""

    def __init__(self, out, catalogue, keep_days, in_use):
        self.out, self.now, self.keep = out, time.time(), keep_days * DAY
        self.left = left(out)
        self.in_use = in_use
        self.needed = digests(catalogue) | made_by_todays_recipes(out, catalogue) | in_use
        self.records = {file: json.loads(file.read_text()) for file in files_in(out / "recipes")}
        self.labels = {row["digest"]: row["version"] for row in self.records.values()}
        self.labels |= {digest: note["version"] for digest, note in self.left.items()}
        self.runtimes = set(catalogue["runtimes"])

    def is_due(self, file, digest=None):
        """Was it not needed for long enough? The catalogue's own note counts; files of before such notes have their age."""
        return self.now - max(file.stat().st_mtime, self.left.get(digest, {"at": 0})["at"]) >= self.keep

    def blobs(self):
        return [file for file in files_in(self.out / "blobs")
                if file.name not in self.needed and self.is_due(file, file.name)]

    def papers(self, gone):
        """Manifests, SBOMs and recipes of blobs that go now (@gone) or went before."""
        def is_orphan(file, digest):
            there = (self.out / "blobs" / digest).exists() and digest not in gone
            return not there and digest not in self.needed and (digest in gone or self.is_due(file, digest))

        files = [(file, file.name.split(".")[0]) for file in files_in(self.out / "manifests")]
        files += [(file, record["digest"]) for file, record in self.records.items()]
        return [file for file, digest in files if is_orphan(file, digest)] + unfinished(self.out)

    def logs(self):
        """Of runtimes that the catalogue does not have. The others' are written over."""
        def runtime_of(file):
            name = file.name.removesuffix("-image.log")
            return name.rpartition("-")[0] if name != file.name else None

        return [file for file in files_in(self.out / "logs")
                if (name := runtime_of(file)) is not None and name not in self.runtimes and self.is_due(file)]


def prune(arguments):
    out = arguments.out
    if bool(arguments.in_use) == arguments.nothing_in_use:
        die("prune: which images do apps boot? Give --in-use FILE (\"-\": standard input) with what karreg-builder images-in-use "
            "prints, once for each platform that shares the store; or --nothing-in-use, if no platform does", WRONG_USE)
    if arguments.keep_days < 0:
        die(f"--keep-days {arguments.keep_days}: give 0 or more", WRONG_USE)
    # Before the lock: who prints the list may take its time.
    in_use = set().union(*(read_in_use(source) for source in arguments.in_use))
    load_catalogue(out)
    if not os.access(out, os.W_OK):
        die(f"{out} belongs to somebody else: prune as root", WRONG_USE)
    with alone(out):
        before = load_catalogue(out)
        catalogue = without_unused_sets(out, before, arguments.keep_days, in_use)
        for name in sorted(before["runtimes"].keys() - catalogue["runtimes"].keys()):
            print(f"{'would leave' if arguments.dry_run else 'left'} the catalogue: {name}, with packages that no app runs with")
        if not arguments.dry_run and catalogue != before:
            publish(out, catalogue)
        found = Pruning(out, catalogue, arguments.keep_days, in_use)
        # As publish notes it: what leaves now goes later.
        for digest in digests(before) - digests(catalogue):
            found.left.setdefault(digest, {"at": int(found.now), "version": ""})
        for digest in sorted(in_use):
            if not (out / "blobs" / digest).exists():
                print(f"images/build: an app needs the image {digest[:16]}, which is not in {out}", file=sys.stderr)
        blobs = found.blobs()
        papers, logs = found.papers({file.name for file in blobs}), found.logs()
        freed = sum(file.stat().st_blocks * 512 for file in blobs if file.stat().st_nlink == 1)
        verb = "would go" if arguments.dry_run else "gone"
        for file in blobs:
            print(f"{verb}: {file.name[:16]}  {size(file.stat().st_size):>9}  {found.labels.get(file.name, 'of unknown origin')}")
        if not arguments.dry_run:
            remove(out, found, blobs, papers + logs)
        print(f"{verb}: {len(blobs)} blobs, {len(papers)} papers of them, {len(logs)} logs; {size(freed)} of the disk")


def remove(out, found, blobs, others):
    try:
        # Records first: one without its blob is found out, but a blob without its record is not found.
        for file in (*others, *blobs):
            file.unlink()
    except OSError as error:
        die(f"{error.filename} could not be removed: {error.strerror}", FAILED)
    gone = {file.name for file in blobs}
    if gone & found.left.keys():
        rest = {digest: note for digest, note in found.left.items() if digest not in gone}
        replace_text(out / "left.json", json.dumps(rest, indent=1, sort_keys=True) + "\n")
