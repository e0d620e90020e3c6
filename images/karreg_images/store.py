"""The store: the folder <out> with blobs by digest, recipes by key, manifests and logs."""
import contextlib
import fcntl
import json
import os
import pathlib
import subprocess
import tempfile

from .base import FAILED, WRONG_USE, Unusable, bounded, die, digest_of, key_of, replace_text, say, to_disk
from .mounts import remove_tree


@contextlib.contextmanager
def alone(out):
    """One at a time in a store: builders add to it when apps need something, and people call this program."""
    with open(out / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # What a run that was killed has left.
        for left in out.glob(".making-*"):
            remove_tree(left)
        yield


class Store:
    """The folder <out>: blobs by digest, recipes by key, manifests, logs, the catalogue."""

    def __init__(self, out, fresh=False, share=None):
        self.out = out
        self.fresh = fresh
        self.share = share
        for name in ("blobs", "recipes", "manifests", "logs"):
            (out / name).mkdir(parents=True, exist_ok=True)

    @staticmethod
    def recorded(folder, key):
        """The record of a recipe that was made before, if its blob is still there and whole."""
        record = folder / "recipes" / key
        if not record.exists():
            return None
        made = json.loads(record.read_text())
        blob = folder / "blobs" / made["digest"]
        return made if blob.exists() and blob.stat().st_size == made["bytes"] else None

    def known(self, key):
        made = self.recorded(self.out, key)
        if made is not None or self.share is None:
            return made
        made = self.recorded(self.share, key)
        if made is not None:
            blob, manifest = f"blobs/{made['digest']}", f"manifests/{made['digest']}.txt"
            try:
                (self.out / blob).unlink(missing_ok=True)
                os.link(self.share / blob, self.out / blob)
            except OSError as error:
                die(f"--share {self.share}: {error.strerror}; it must lie on the same disk as {self.out}", WRONG_USE)
            if (self.share / manifest).exists():
                replace_text(self.out / manifest, (self.share / manifest).read_text())
            replace_text(self.out / "recipes" / key, json.dumps(made))
        return made

    def keep(self, key, file, version, manifest=None, versions=None):
        """Moves a finished file into the store under its digest."""
        digest = digest_of(file)
        blob = self.out / "blobs" / digest
        os.chmod(file, 0o644)
        to_disk(file)
        os.replace(file, blob)
        to_disk(blob.parent)
        if manifest is not None:
            replace_text(self.out / "manifests" / f"{digest}.txt", manifest)
        record = {"digest": digest, "bytes": blob.stat().st_size, "version": version, "versions": versions or {}}
        replace_text(self.out / "recipes" / key, json.dumps(record))
        return record

    def make(self, label, maker, *recipe, from_mirror=False, code=FAILED, explain=None, most_bytes=None):
        """What @maker makes, unless the same was made before: the same steps from the same @recipe. maker(work, log)
        gives the arguments of keep() after the key. @code: our exit code when it cannot. @explain(text of the log, or
        of the error) ends us with a better message when that failed, if it has one. @most_bytes: the making may fill, all
        that it needs on the way included."""
        key = key_of(maker, *recipe)
        made = None if self.fresh and from_mirror else self.known(key)
        if made is not None:
            say(f"{label}: unchanged")
            return made
        say(f"{label}: making")
        with tempfile.TemporaryDirectory(dir=self.out, prefix=".making-") as work:
            log = self.out / "logs" / f"{label.replace(' ', '-')}.log"
            with open(log, "w") as output, bounded(work, most_bytes):
                try:
                    made = self.keep(key, *maker(pathlib.Path(work), output))
                except subprocess.CalledProcessError as error:
                    if explain:
                        explain(log.read_text(errors="replace"))
                    die(f"{label} failed: {error.cmd[0]} exited with {error.returncode}; see {log}", code)
                except FileNotFoundError as error:
                    die(f"{label} failed: {error.filename} is missing; the packages of dev.d/packages/images.txt bring all "
                        "tools", code)
                except Unusable as error:
                    if explain:
                        explain(str(error))
                    die(f"{label} failed: {error}", code)
        say(f"{label}: {made['bytes'] >> 20} MiB, {made['digest'][:12]}")
        return made
