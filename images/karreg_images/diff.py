"""Which packages two images differ in."""
import json
import pathlib
import sys

from .base import DIFFERENT, WRONG_USE, die
from .catalogue import find_image
from .manifest import read_manifest


def image_of(arguments, text):
    """Of "NAME", "DIGEST" or either in another store, "DIR:NAME": the store and the digest."""
    folder, colon, name = text.rpartition(":")
    out = pathlib.Path(folder).resolve() if colon else arguments.out
    if colon and not (out / "manifests").is_dir():
        die(f"{folder} is no image store: it has no folder manifests", WRONG_USE)
    return out, find_image(out, name, "build" if arguments.build else "run")


def difference(before, after):
    """@before, @after: name -> version."""
    return {"added": [{"package": name, "version": after[name]} for name in sorted(after.keys() - before.keys())],
            "removed": [{"package": name, "version": before[name]} for name in sorted(before.keys() - after.keys())],
            "changed": [{"package": name, "before": before[name], "after": after[name]}
                        for name in sorted(before.keys() & after.keys()) if before[name] != after[name]]}


def print_difference(arguments):
    (first, before), (second, after) = (image_of(arguments, text) for text in arguments.names)
    found = difference(read_manifest(first, before), read_manifest(second, after))
    if arguments.json:
        print(json.dumps({"before": before, "after": after, **found}, indent=1))
    else:
        for each in found["removed"]:
            print(f"- {each['package']} {each['version']}")
        for each in found["added"]:
            print(f"+ {each['package']} {each['version']}")
        for each in found["changed"]:
            print(f"~ {each['package']} {each['before']} -> {each['after']}")
        if not any(found.values()):
            print("the same packages" + ("" if before == after else ", in images of other bytes"))
    sys.exit(DIFFERENT if any(found.values()) else 0)
