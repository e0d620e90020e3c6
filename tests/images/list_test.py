#!/usr/bin/env python3
"""What `images/build list` tells of a store, and how wrong use of images/build is refused. Prints TAP."""
import json
import os
import sys

from a_store import a_store, a_web_store

from tap import Tap

tap = Tap()


def listing():
    with a_store() as store:
        a_web_store(store)
        code, out, _ = store.call("list", "--json")
        found = json.loads(out)
        static = found["runtimes"]["static"]
        tap.check("the list has parts and runtimes with their digests, sizes and versions",
                  code == 0 and found["parts"]["kernel"]["bytes"] == 6 and static["versions"] == {"nginx": "1.26.3-3"}
                  and static["run"]["digest"] == store.catalogue["runtimes"]["static"]["run"]["digest"], out)
        tap.check("the list counts the packages of each image",
                  (static["run"]["packages"], static["build"]["packages"]) == (2, 3), out)
        tap.check("an image of today's recipe is current", static["run"]["current"] and static["build"]["current"], out)
        os.utime(store.out / "blobs" / static["run"]["digest"], (1764300000, 1764300000))
        made = json.loads(store.call("list", "--json")[1])["runtimes"]["static"]["run"]["made"]
        tap.check("the list says when an image was made", made == "2025-11-28T03:20:00Z", made)

        store.runtime("node", store.image("node", "run", "of an old recipe"), store.image("node", "build", "of an old recipe, too"))
        store.runtime("cobol", store.image("cobol", "run", "c"), store.image("cobol", "build", "d"))
        found = json.loads(store.call("list", "--json")[1])["runtimes"]
        tap.check("an image of another recipe than today's, or of one that is no more, is not current",
                  not found["node"]["run"]["current"] and not found["cobol"]["build"]["current"], found)
        _, out, _ = store.call("list")
        lines = {line.split("  ")[0]: line for line in out.splitlines()}
        tap.check("people read the same in columns",
                  " current " in lines["static run"] and lines["node build"].endswith(" older") and "nginx 1.26.3-3" in lines["static run"], out)
        (store.out / "blobs" / static["run"]["digest"]).unlink()
        _, out, _ = store.call("list")
        tap.check("an image that is not there is told as missing",
                  [line.split()[0:2] for line in out.splitlines() if " MISSING " in line] == [["static", "run"]], out)


def wrong_use():
    with a_store() as store:
        for arguments, why in (
                (("list", "static"), "list takes no names: static"),
                (("verify", "--json"), "verify has no option --json"),
                (("list", "--stock-kernel"), "list has no option --stock-kernel or --own-kernel"),
                (("add",), "add: name the runtimes"),
                (("sbom", "static"),
                 f"no image static in {store.out}: it is neither the digest of one nor a runtime; there are none")):
            code, _, said = store.call(*arguments)
            tap.check(f"images/build {' '.join(arguments)} is refused", (code, said) == (2, f"images/build: {why}\n"), code, said)
        (store.out / "catalogue.json").unlink()
        code, _, said = store.call("list")
        tap.check("a folder without a catalogue is told from a store", code == 2 and f"no catalogue in {store.out}" in said, said)


listing()
wrong_use()
sys.exit(tap.code())
