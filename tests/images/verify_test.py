#!/usr/bin/env python3
"""Which faults of a store `images/build verify` finds. Prints TAP."""
import sys

from a_store import a_store, a_web_store

from tap import Tap

tap = Tap()


def verifying():
    with a_store() as store:
        a_web_store(store)
        run, made = (store.catalogue["runtimes"]["static"][variant]["digest"] for variant in ("run", "build"))
        kernel = store.catalogue["kernel"]["digest"]
        code, out, _ = store.call("verify")
        tap.check("a whole store passes", code == 0 and "BAD" not in out and "ok  static build" in out, out)

        (store.out / "blobs" / kernel).write_text("kernex")
        (store.out / "manifests" / f"{run}.txt").unlink()
        (store.out / "manifests" / f"{run}.spdx.json").unlink()
        (store.out / "blobs" / made).unlink()
        (store.out / "manifests" / f"{made}.spdx.json").write_text("{}")
        del store.catalogue["initrd"]
        store.publish()
        code, out, _ = store.call("verify")
        bad = [line for line in out.splitlines() if line.startswith("BAD")]
        wanted = ["BAD catalogue: the catalogue names no initrd",
                  f"BAD kernel: blobs/{kernel} has the digest",
                  f"BAD static run: manifests/{run}.txt is missing",
                  f"BAD static run: there is no manifests/{run}.spdx.json",
                  f"BAD static build: there is no blobs/{made}",
                  f"BAD static build: manifests/{made}.spdx.json is no SBOM"]
        tap.check("each fault of a store is named, and the exit code is 1", code == 1 and len(bad) == len(wanted)
                  and all(line.startswith(beginning) for line, beginning in zip(bad, wanted)), out)
        (store.out / "manifests" / f"{made}.spdx.json").write_text('{"documentNamespace": "https://spdx.org/spdxdocs/other"}')
        (store.out / "blobs" / kernel).write_text("kernel, and more")
        out = store.call("verify")[1]
        tap.check("an SBOM of another image and a blob of another size are faults",
                  f"BAD static build: manifests/{made}.spdx.json is of another image" in out
                  and f"BAD kernel: blobs/{kernel} has 16 bytes, the catalogue says 6" in out, out)


verifying()
sys.exit(tap.code())
