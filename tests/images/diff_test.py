#!/usr/bin/env python3
"""What `images/build diff` tells of two images. Prints TAP."""
import json
import sys

from a_store import PACKAGES, a_store, a_web_store

from tap import Tap

tap = Tap()


def differences():
    with a_store() as store, a_store() as other:
        a_web_store(store)
        newer = other.image("static", "run", "a newer image", "libc6 2.41-12+deb13u1\nlibssl3t64 3.5.1-1\nnpm 10.9.2 (npm)\n")
        other.runtime("static", newer, other.image("static", "build", "another", PACKAGES))
        there = f"{other.out}:static"
        code, out, _ = store.call("diff", "static", there)
        tap.check("a difference of packages is told, and has an exit code of its own", code == 4 and out.splitlines() == [
            "- nginx-light 1.26.3-3", "+ libssl3t64 3.5.1-1", "+ npm (npm) 10.9.2", "~ libc6 2.41-12 -> 2.41-12+deb13u1"], code, out)
        code, out, _ = store.call("diff", "static", there, "--json")
        found = json.loads(out)
        tap.check("the same for programs", code == 4 and found["after"] == newer["digest"] and found["changed"] == [
            {"package": "libc6", "before": "2.41-12", "after": "2.41-12+deb13u1"}] and len(found["added"]) == 2, out)
        code, out, _ = store.call("diff", "static", f"{other.out}:{newer['digest'][:12]}")
        tap.check("an image is found by the beginning of its digest", code == 4, out)
        code, out, _ = store.call("diff", "static", "static")
        tap.check("an image does not differ from itself", (code, out) == (0, "the same packages\n"), out)
        code, out, _ = store.call("diff", "--build", "static", there)
        tap.check("--build compares the images that apps are built on", (code, out) == (4, "- hugo 0.131.0\n"), out)
        for names, why in (
                (("static", "cobol"), f"no image cobol in {store.out}: it is neither the digest of one nor a runtime; there are static"),
                (("static", "/nowhere:static"), "/nowhere is no image store: it has no folder manifests"),
                (("static",), "diff: name two images")):
            code, _, said = store.call("diff", *names)
            tap.check(f"diff {' '.join(names).replace(str(store.out), 'STORE')} is refused with the reason",
                      (code, said) == (2, f"images/build: {why}\n"), code, said)


differences()
sys.exit(tap.code())
