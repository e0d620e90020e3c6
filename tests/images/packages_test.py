#!/usr/bin/env python3
"""Runtimes with packages of Debian that apps ask for: their names, their recipes, what is refused, and how they go. Prints TAP."""
import json
import os
import subprocess
import sys
import tempfile
import time

from a_store import a_store, a_web_store

from tap import Tap

from karreg_images.base import TOO_LARGE, Unusable, bounded, run
from karreg_images.packages import asked_for, name_of, recipe_with, recipes_of, unknown

tap = Tap()


def names_and_recipes():
    packages = asked_for("libvips42t64,ffmpeg,ffmpeg", "")
    # tests/builder/system_packages_test.cpp has the same name.
    tap.check("a set of packages has the name that the builder gives it", packages == {"run": ["ffmpeg", "libvips42t64"], "build": []}
              and name_of("node", packages) == "node+41e8400b6929", packages, name_of("node", packages))
    recipe = recipe_with({"run": ["nodejs"], "build": ["git"], "suite": "trixie"}, asked_for("ffmpeg,nodejs", "git,gcc,ffmpeg"))
    tap.check("its recipe has them once, those of the app in the run image, and all in the build image",
              recipe == {"run": ["nodejs", "ffmpeg"], "build": ["git", "gcc"], "suite": "trixie"}, recipe)


def names_that_are_none():
    packages = asked_for("ffmpeg,ffmpegg", "libvips-devel")
    tap.check("packages that are not there are named", unknown(packages, ["ffmpeg", "libvips-dev"]) == ["ffmpegg", "libvips-devel"])
    tap.check("where all are there, another thing is wrong", unknown(packages, ["ffmpeg", "ffmpegg", "libvips-devel"]) == [])


def too_large():
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as output:
        began = time.monotonic()
        try:
            with bounded(folder, 5 << 20):
                # It would go on for a minute, and so would what it has started.
                run(output, "sh", "-c", f"head -c 20M /dev/zero >{folder}/file; sleep 60 & wait")
            said = "it ended by itself"
        except Unusable as error:
            said = str(error)
        tap.check("a making that fills more than it may is ended", said == f"{TOO_LARGE} 5 MiB"
                  and time.monotonic() - began < 30, said)
        run(output, "true")
        try:
            run(output, "false")
            said = "nothing"
        except subprocess.CalledProcessError as error:
            said = f"{error.cmd[0]} {error.returncode}"
        tap.check("a program that fails is told, bound or not", said == "false 1", said)


def bad_names():
    with a_store() as store:
        a_web_store(store)
        for name in ("?essential", "~nlinux", "-o=x", "./a.deb", "libc6-", "Big", "x"):
            code, _, said = store.call("add", "static", f"--packages={name}")
            tap.check(f"{name} is refused before anything is made", code == 2 and "images/build: " in said
                      and (os.geteuid() != 0 or f"{name!r} is no name of a Debian package" in said), code, said)
        code, _, said = store.call("list", "--packages", "jq")
        tap.check("packages are for add alone", (code, said) == (2, "images/build: list has no option --packages\n"), said)


def a_set(store, content="with jq"):
    """The runtime static with the package jq, in the catalogue of @store."""
    packages = asked_for("jq", "")
    name = name_of("static", packages)
    store.catalogue["runtimes"][name] = {"run": store.image(name, "run", f"{content}, run"), "versions": {}, "packages": packages,
                                         "build": store.image(name, "build", f"{content}, build")}
    store.publish()
    return name, store.catalogue["runtimes"][name]


def in_the_catalogue():
    with a_store() as store:
        a_web_store(store)
        name, _ = a_set(store)
        tap.check("what the catalogue has of them has a recipe", "jq" in recipes_of(store.catalogue)[name]["run"])
        _, out, _ = store.call("list")
        tap.check("list says which packages an image has", f"{name} run" in out and "with jq" in out, out)
        _, out, _ = store.call("list", "--json")
        tap.check("for programs, too", json.loads(out)["runtimes"][name]["packages"] == {"run": ["jq"], "build": []}, out)


def named(store):
    return json.loads((store.out / "catalogue.json").read_text())["runtimes"]


def how_they_go():
    with a_store() as store:
        a_web_store(store)
        name, row = a_set(store)
        in_use = json.dumps({"images_in_use": [row["run"]["digest"]]})
        nothing = '{"images_in_use": []}'
        store.call("prune", "--in-use", "-", text=nothing)
        tap.check("a set that was made this week stays: its build may be under way", name in named(store))
        store.age(8)
        store.call("prune", "--in-use", "-", text=in_use)
        tap.check("a set that an app runs with stays", name in named(store))
        _, dry, _ = store.call("prune", "--dry-run", "--in-use", "-", text=nothing)
        tap.check("a dry run says that it would leave, and leaves it", f"would leave the catalogue: {name}" in dry
                  and "would go: 0 blobs" in dry and name in named(store), dry)
        _, out, _ = store.call("prune", "--in-use", "-", text=nothing)
        tap.check("one that no app runs with leaves the catalogue, and its images stay for the days that any image does",
                  f"left the catalogue: {name}" in out and name not in named(store) and store.has(row["run"]), out)
        tap.check("plain runtimes stay in it", "static" in named(store))
        store.age(8)
        store.call("prune", "--in-use", "-", text=nothing)
        tap.check("then they go", not store.has(row["run"]) and not store.has(row["build"]))


names_and_recipes()
names_that_are_none()
too_large()
bad_names()
in_the_catalogue()
how_they_go()
sys.exit(tap.code())
