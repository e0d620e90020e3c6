"""Is the store whole: what the catalogue names is there, and is what its name says."""
import json
import sys

from .base import FAILED, digest_of
from .catalogue import PARTS, load_catalogue, rows
from .manifest import manifest_file
from .sbom import namespace_of, sbom_file

NEEDED = [part for part in PARTS if part != "modules"]


def faults_of_blob(out, row):
    """The reasons why no VM should begin with this blob."""
    digest, blob = row["digest"], out / "blobs" / row["digest"]
    if not blob.is_file():
        return [f"there is no blobs/{digest}"]
    found = []
    if blob.stat().st_size != row["bytes"]:
        found.append(f"blobs/{digest} has {blob.stat().st_size} bytes, the catalogue says {row['bytes']}")
    if (really := digest_of(blob)) != digest:
        found.append(f"blobs/{digest} has the digest {really}")
    return found


def faults_of_papers(out, digest):
    """What is wrong with the lists of an image's packages."""
    found = []
    manifest, sbom = manifest_file(out, digest), sbom_file(out, digest)
    if not manifest.is_file() or not manifest.read_text().strip():
        found.append(f"manifests/{manifest.name} is missing or empty; images/build --fresh makes the image again")
    try:
        if json.loads(sbom.read_text())["documentNamespace"] != namespace_of(digest):
            found.append(f"manifests/{sbom.name} is of another image; remove it, images/build makes it")
    except FileNotFoundError:
        found.append(f"there is no manifests/{sbom.name}; images/build makes it")
    except (ValueError, KeyError, TypeError):
        found.append(f"manifests/{sbom.name} is no SBOM of ours; remove it, images/build makes it")
    return found


def verify_all(arguments):
    catalogue = load_catalogue(arguments.out)
    bad = [f"the catalogue names no {part}" for part in NEEDED if part not in catalogue]
    for fault in bad:
        print(f"BAD catalogue: {fault}")
    for name, row in rows(catalogue):
        faults = faults_of_blob(arguments.out, row)
        if name not in PARTS:
            faults += faults_of_papers(arguments.out, row["digest"])
        for fault in faults:
            print(f"BAD {name}: {fault}")
        if not faults:
            print(f"ok  {name}")
        bad += faults
    sys.exit(FAILED if bad else 0)
