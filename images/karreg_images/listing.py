"""What the catalogue holds, for people and for programs."""
import datetime
import json

from .base import key_of
from .catalogue import PARTS, load_catalogue
from .manifest import manifest_file, read_manifest
from .packages import recipes_of
from .runtimes import steps_of
from .store import Store


def is_current(out, name, variant, digest, recipes):
    """Was the image @digest made by today's steps from today's recipe? Newer packages are another question (outdated)."""
    if name not in recipes:
        return False
    maker, recipe = steps_of(name, recipes[name], variant)
    made = Store.recorded(out, key_of(maker, *recipe))
    return made is not None and made["digest"] == digest


def made_at(out, digest):
    """When the bytes were made, as ISO 8601 in UTC; nothing if they are not there."""
    file = out / "blobs" / digest
    if not file.exists():
        return None
    return datetime.datetime.fromtimestamp(int(file.stat().st_mtime), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def described(out, row, **more):
    return {"digest": row["digest"], "bytes": row["bytes"], "version": row["version"], "made": made_at(out, row["digest"]), **more}


def listing(out):
    catalogue = load_catalogue(out)
    recipes = recipes_of(catalogue)

    def image(name, variant, row):
        has_manifest = manifest_file(out, row["digest"]).exists()
        return described(out, row, packages=len(read_manifest(out, row["digest"])) if has_manifest else None,
                         current=is_current(out, name, variant, row["digest"], recipes))

    return {"parts": {part: described(out, catalogue[part]) for part in PARTS if part in catalogue},
            "runtimes": {name: {"versions": row.get("versions", {}), "packages": row.get("packages"), "run": image(name, "run", row["run"]),
                                "build": image(name, "build", row["build"])}
                         for name, row in sorted(catalogue["runtimes"].items())}}


def table(rows):
    """Columns as wide as their widest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def size(count):
    return f"{count / (1 << 20):.0f} MiB"


def with_packages(packages, variant):
    return packages["run"] + (packages["build"] if variant == "build" else [])


def list_all(arguments):
    found = listing(arguments.out)
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    table([("part", "digest", "size", "made", "version")] +
          [(part, row["digest"][:12], size(row["bytes"]), row["made"] or "MISSING", row["version"])
           for part, row in found["parts"].items()])
    if not found["runtimes"]:
        return
    print()
    lines = [("image", "digest", "size", "packages", "made", "recipe", "versions", "")]
    for name, runtime in found["runtimes"].items():
        for variant in ("run", "build"):
            row = runtime[variant]
            lines.append((f"{name} {variant}", row["digest"][:12], size(row["bytes"]),
                          "?" if row["packages"] is None else str(row["packages"]), row["made"] or "MISSING",
                          "current" if row["current"] else "older",
                          ", ".join([f"{tool} {version}" for tool, version in runtime["versions"].items()]
                                    if variant == "run" else []),
                          "with " + ", ".join(with_packages(runtime["packages"], variant)) if runtime["packages"] else ""))
    table(lines)
