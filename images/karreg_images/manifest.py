"""Manifests, <out>/manifests/<digest>.txt: what was installed, a line "NAME VERSION" each; programs of the npm registry, too."""
from .base import WRONG_USE, die


def manifest_file(out, digest):
    return out / "manifests" / f"{digest}.txt"


def read_manifest(out, digest):
    """Name -> version. Tools that npm unpacked are "NAME (npm)": Debian may have a package of their name."""
    file = manifest_file(out, digest)
    if not file.exists():
        die(f"no manifest of the image {digest[:16]} in {out}; images/build --fresh makes the image again", WRONG_USE)
    packages = {}
    for line in file.read_text().splitlines():
        name, _, version = line.partition(" ")
        packages[name + (" (npm)" if version.endswith(" (npm)") else "")] = version.removesuffix(" (npm)")
    return packages
