#!/usr/bin/python3
"""Two machines make the same images from the same packages. Prints TAP.

Makes the runtime `static` twice, anew, in two stores and under two host names, as root. The parts that are no runtimes are those of
the store in KARREG_CACHE_DIR.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "images"))
from a_store import BUILD, build  # noqa: E402

from karreg_images.catalogue import digests, load_catalogue  # noqa: E402
from tap import Tap  # noqa: E402

tap = Tap()
PATIENCE = 900  # seconds for one store: packages are fetched


def a_store_of_parts(folder, origin):
    """A store whose catalogue has all of @origin but its runtimes."""
    (folder / "blobs").mkdir(parents=True)
    catalogue = load_catalogue(origin) | {"runtimes": {}}
    for digest in digests(catalogue):
        (folder / "blobs" / digest).symlink_to(origin / "blobs" / digest)
    (folder / "catalogue.json").write_text(json.dumps(catalogue))
    return folder


def made(out, host_name):
    done = subprocess.run(["unshare", "--uts", "sh", "-c", 'hostname "$1"; shift; exec "$@"', "sh", host_name, str(BUILD), "add",
                           "static", "--out", str(out), "--fresh"], capture_output=True, text=True, timeout=PATIENCE)
    if not tap.check(f"the runtime is made on {host_name}", done.returncode == 0, done.stdout, done.stderr):
        sys.exit(tap.code())
    return load_catalogue(out)["runtimes"]["static"]


def main():
    origin = (pathlib.Path(os.environ.get("KARREG_CACHE_DIR") or "/var/cache/karreg") / "images").resolve()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="karreg-test-images-", dir="/var/tmp"))
    try:
        stores = [a_store_of_parts(folder / name, origin) for name in ("one", "two")]
        first, second = (made(out, host_name) for out, host_name in zip(stores, ("here", "elsewhere")))
        for variant in ("run", "build"):
            packages = build("diff", "static", f"{stores[1]}:static", "--out", stores[0], *(["--build"] if variant == "build" else []))
            tap.check(f"the {variant} image has the same packages", packages[0] == 0, *packages)
            tap.check(f"the {variant} image has the same bytes", first[variant]["digest"] == second[variant]["digest"],
                      first[variant], second[variant])
            papers = [(out / "manifests" / f"{row[variant]['digest']}.spdx.json").read_bytes()
                      for out, row in zip(stores, (first, second))]
            tap.check(f"the {variant} image has the same SBOM", papers[0] == papers[1])
        code, out, _ = build("verify", "--out", stores[1])
        tap.check("a store with what was added is whole", code == 0, out)
    finally:
        shutil.rmtree(folder)


main()
sys.exit(tap.code())
