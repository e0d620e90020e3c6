#!/usr/bin/env python3
"""The SBOM of an image: of one that is made here with mkfs.erofs, and of one of the store. Prints TAP.

KARREG_TEST_IMAGES_DIR: a store made by images/build; ./dev test sets it.
"""
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from a_store import a_store, build

from karreg_images.base import Unusable
from karreg_images.erofs import Image
from karreg_images.sbom import make_sbom
from tap import Tap

tap = Tap()
STATUS = """Package: libstdc++6
Status: install ok installed
Maintainer: Debian GCC Maintainers <debian-gcc@lists.debian.org>
Architecture: amd64
Multi-Arch: same
Source: gcc-14 (14.2.0-18)
Version: 14.2.0-19
Description: the library
 of several lines
 .
 Package: not-one

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2:2025b~rc1-4+deb13u1

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""
MANIFEST = "libstdc++6 14.2.0-19\nremoved 1\ntzdata 2:2025b~rc1-4+deb13u1\n@oven/bun 1.4.5\nnpm 10.9.2 (npm)\n"


def a_tree(folder):
    """A root as images have it; its folders and files are small, larger than a block, and empty."""
    root = pathlib.Path(folder) / "root"
    for name, text in {"var/lib/dpkg/status": STATUS, "usr/lib/os-release": 'NAME="Debian"\nVERSION_CODENAME=trixie\n',
                       "usr/lib/node_modules/npm/package.json": '{"license": "Artistic-2.0"}', "empty": "",
                       "one-block": "1" * 4096, "large": "".join(f"{i}\n" for i in range(5000)),
                       **{f"many/file-{i:04}-with-a-long-name-that-fills-blocks": str(i) for i in range(300)}}.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (root / "etc").mkdir()
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")
    (root / "absolute").symlink_to("/usr/../usr/lib/./os-release")
    (root / "round").symlink_to("round")
    return root


def packed(root, file, *options):
    subprocess.run(["mkfs.erofs", "--quiet", "-T1700000000", *options, str(file), str(root)], check=True, stdout=subprocess.DEVNULL,
                   timeout=60)
    return file


def reading():
    with tempfile.TemporaryDirectory(prefix="karreg-test-") as folder:
        root = a_tree(folder)
        for options in ((), ("-Eforce-inode-extended",), ("-Enoinline_data",)):
            image = Image(packed(root, pathlib.Path(folder) / "image", *options))
            wrong = [str(file.relative_to(root)) for file in root.rglob("*")
                     if file.is_file() and not file.is_symlink() and image.read(str(file.relative_to(root))) != file.read_bytes()]
            tap.check(f"every file of an erofs image is read as it is ({' '.join(options) or 'as we make it'})", not wrong, *wrong)
            tap.check("through symbolic links, absolute ones and those with .. too",
                      image.read("etc/os-release") == image.read("absolute") == (root / "usr/lib/os-release").read_bytes())
            tap.check("what is not there, is a folder or goes round in a circle is nothing", [
                image.read(path) for path in ("no", "many", "empty/no", "round")] == [None] * 4)
        for what, content in (("text", b"x" * 4096), ("an empty file", b"")):
            (pathlib.Path(folder) / "image").write_bytes(content)
            try:
                Image(pathlib.Path(folder) / "image")
                said = "nothing"
            except Unusable as error:
                said = str(error)
            tap.check(f"{what} is refused", said.endswith("is no erofs image"), said)


def naming():
    with a_store() as store, tempfile.TemporaryDirectory(prefix="karreg-test-") as folder:
        content = packed(a_tree(folder), pathlib.Path(folder) / "image").read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        (store.out / "blobs" / digest).write_bytes(content)
        (store.out / "manifests" / f"{digest}.txt").write_text(MANIFEST)
        row = {"digest": digest, "bytes": len(content), "version": "bun run, Debian trixie"}
        store.runtime("bun", row, row)
        code, out, said = store.call("sbom", "bun")
        document = json.loads(out)
        packages = {each["name"]: each for each in document["packages"]}
        tap.check("an SBOM has the packages that are installed, and the programs of the npm registry, and no other", code == 0
                  and set(packages) == {f"karreg-image-{digest[:16]}", "libstdc++6", "tzdata", "@oven/bun", "npm"}, out, said)
        locators = {name: each["externalRefs"][0]["referenceLocator"] for name, each in packages.items() if "externalRefs" in each}
        tap.check("each with its package URL", locators == {
            "libstdc++6": "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=amd64&distro=trixie",
            "tzdata": "pkg:deb/debian/tzdata@2:2025b~rc1-4%2Bdeb13u1?arch=all&distro=trixie",
            "@oven/bun": "pkg:npm/%40oven/bun@1.4.5", "npm": "pkg:npm/npm@10.9.2"}, locators)
        library = packages["libstdc++6"]
        tap.check("a package of Debian with its source, which advisories name", library["supplier"] == "Organization: Debian"
                  and library["sourceInfo"] == "architecture amd64; built from the source package gcc-14 14.2.0-18", library)
        tap.check("licences that are known, and NOASSERTION for the others", [
            packages[name]["licenseDeclared"] for name in ("npm", "@oven/bun", "tzdata")] == ["Artistic-2.0", "NOASSERTION", "NOASSERTION"])
        tap.check("its name is the image's, its time the one of the image's files",
                  document["documentNamespace"] == f"https://spdx.org/spdxdocs/karreg-image-{digest}"
                  and document["creationInfo"]["created"] == "2023-11-14T22:13:20Z", document["creationInfo"])
        kept = store.out / "manifests" / f"{digest}.spdx.json"
        tap.check("it is kept beside the manifest", kept.read_text() == out)
        kept.unlink()
        tap.check("the same image gives the same bytes", store.call("sbom", digest[:10])[1] == out)
        kept.unlink()
        (store.out / "blobs" / digest).write_bytes(content[:3000])
        code, _, said = store.call("sbom", "bun")
        tap.check("an image that is cut short is refused, and nothing is kept",
                  code == 1 and "is cut short" in said and not kept.exists(), said)
        (store.out / "blobs" / digest).unlink()
        code, _, said = store.call("sbom", "bun")
        tap.check("an image that is gone is refused", code == 2 and f"the image {digest[:16]} of bun is not in" in said, said)


def of_a_store():
    out = pathlib.Path(os.environ["KARREG_TEST_IMAGES_DIR"])
    for variant in ("run", "build"):
        row = json.loads((out / "catalogue.json").read_text())["runtimes"]["node"][variant]
        document = json.loads(make_sbom(out, row["digest"]))
        manifest = (out / "manifests" / f"{row['digest']}.txt").read_text().split("\n")
        listed = {f"{each['name']} {each['versionInfo']}" for each in document["packages"][1:]}
        tap.check(f"the {variant} image of node has in its SBOM what is in its manifest",
                  listed == {line.removesuffix(" (npm)") for line in manifest if line} and len(listed) > 50, len(listed))
        names = [each["SPDXID"] for each in document["packages"]]
        tap.check("each package once, under a name that SPDX allows, in the image",
                  len(set(names)) == len(names) and all(re.fullmatch("SPDXRef-[A-Za-z0-9.-]+", name) for name in names)
                  and {each["relatedSpdxElement"] for each in document["relationships"]} == set(names))
    code, said, _ = build("verify", "--out", out)
    tap.check("the store has an SBOM of each of its images, and is whole", code == 0, said)


reading()
naming()
of_a_store()
sys.exit(tap.code())
