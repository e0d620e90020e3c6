"""Runtimes with more packages of Debian in their images, which apps ask for.

Each set of packages is a runtime of its own in the catalogue, "python+3f2a9c1d0e5b", named by the digest of its packages
(builder/system_packages.cpp has the same rule), whose row says what it is made of:

    "packages": {"run": ["ffmpeg"], "build": ["libavcodec-dev"]}

Both are in the build image, the first in the run image, too.
"""
import hashlib
import re
import shutil

from .base import WRONG_USE, die
from .runtimes import all_recipes

MOST = 64
# An app asks for them, not the operator: its image must leave room for the images of the others. With what apt has on its way;
# a large one of Debian's languages, with compilers, takes 3 GiB.
MOST_BYTES = 8 << 30
FREE_BYTES_NEEDED = MOST_BYTES + (2 << 30)
NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{0,98}[a-z0-9+.]")  # Debian Policy 5.6.1; to apt a dash at the end means a removal


def name_of(runtime, packages):
    """The runtime @runtime with @packages, {"run": [...], "build": [...]}, both sorted."""
    both = f"{' '.join(packages['run'])}\n{' '.join(packages['build'])}\n"
    return f"{runtime}+{hashlib.sha256(both.encode()).hexdigest()[:12]}"


def asked_for(run, build):
    """@run and @build as they are given, with commas between the names; nothing when there are none."""
    run, build = ({name for name in text.split(",") if name} for text in (run, build))
    for name in sorted(run | build):
        if not NAME.fullmatch(name):
            die(f"{name!r} is no name of a Debian package: lower-case letters, digits, +, - and . make one", WRONG_USE)
    if len(run | build) > 2 * MOST:
        die(f"{len(run | build)} packages are too many: {MOST} for the app and {MOST} for its build", WRONG_USE)
    return {"run": sorted(run), "build": sorted(build - run)} if run or build else None


def recipe_with(recipe, packages):
    """@recipe with @packages beside its own."""
    def more(own, names):
        return own + [name for name in names if name not in own]

    run = more(recipe["run"], packages["run"])
    return recipe | {"run": run, "build": more(recipe["build"], [name for name in packages["build"] if name not in run])}


def recipes_of(catalogue):
    """All recipes of this tree, and those of the runtimes with packages that @catalogue has."""
    recipes = all_recipes()
    found = dict(recipes)
    for name, row in catalogue["runtimes"].items():
        plain = name.partition("+")[0]
        if "packages" in row and plain in recipes:
            found[name] = recipe_with(recipes[plain], row["packages"])
    return found


def need_room(out):
    free = shutil.disk_usage(out).free
    if free < FREE_BYTES_NEEDED:
        die(f"{out} has {free >> 30} GiB free; an image with more packages is made with {FREE_BYTES_NEEDED >> 30} GiB at least")


def unknown(packages, known):
    """Those of @packages, {"run": [...], "build": [...]}, that are not among the names @known; nothing when all are."""
    return sorted(set(packages["run"] + packages["build"]) - set(known))
