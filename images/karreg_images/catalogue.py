"""The catalogue, <out>/catalogue.json: what is current (docs/contracts.md §5). And what it named once."""
import json
import re
import time

from .base import WRONG_USE, die, replace_text

# Beside these it has the runtimes. The modules are there with Debian's kernel only: the initrd is made with them.
PARTS = ("kernel", "modules", "initrd", "scratch_run", "scratch_build", "cache_template")


def blob(record):
    return {"digest": record["digest"], "bytes": record["bytes"], "version": record["version"]}


def rows(catalogue):
    for part in PARTS:
        if part in catalogue:
            yield part, catalogue[part]
    for name, runtime_row in sorted(catalogue["runtimes"].items()):
        yield f"{name} run", runtime_row["run"]
        yield f"{name} build", runtime_row["build"]


def digests(catalogue):
    return {row["digest"] for _, row in rows(catalogue)}


def load_catalogue(out):
    file = out / "catalogue.json"
    if not file.exists():
        die(f"no catalogue in {out}; make it with images/build --out {out}", WRONG_USE)
    return json.loads(file.read_text())


def left(out):
    """What the catalogue named and no longer does: digest -> when it did for the last time ("at", seconds since 1970), and its
    version."""
    file = out / "left.json"
    return json.loads(file.read_text()) if file.exists() else {}


def publish(out, catalogue):
    """Makes @catalogue the current one. What it no longer names is noted, for prune."""
    file = out / "catalogue.json"
    before = {row["digest"]: row for _, row in rows(json.loads(file.read_text()))} if file.exists() else {}
    gone = before.keys() - digests(catalogue)
    if gone:
        notes = {digest: {"at": int(time.time()), "version": before[digest]["version"]} for digest in gone}
        replace_text(out / "left.json", json.dumps(left(out) | notes, indent=1, sort_keys=True) + "\n")
    replace_text(file, json.dumps(catalogue, indent=1, sort_keys=True) + "\n")


def is_digest(text):
    return re.fullmatch("[0-9a-f]{8,64}", text) is not None


def find_image(out, name, variant):
    """The digest of an image: of the runtime @name, run or build by @variant, or of a beginning of at least 8 digits of one
    that has a manifest here, current or not."""
    found = {file.name.removesuffix(".txt") for file in (out / "manifests").glob("*.txt") if file.name.startswith(name)}
    if is_digest(name) and len(found) == 1:
        return found.pop()
    if is_digest(name) and found:
        die(f"{name} is the beginning of {len(found)} images in {out}: give more of its digits", WRONG_USE)
    catalogue = load_catalogue(out)
    if name not in catalogue["runtimes"]:
        die(f"no image {name} in {out}: it is neither the digest of one nor a runtime; there are "
            f"{', '.join(sorted(catalogue['runtimes'])) or 'none'}", WRONG_USE)
    return catalogue["runtimes"][name][variant]["digest"]
