"""Which packages of the images have newer versions in the mirrors, without making an image.

The indices of the mirrors are fetched by apt, with its signatures checked, into a folder of their own: the machine's own apt
does not notice. A version counts as a security update when Debian's security archive has one that is newer than what is
installed, also where a later point release has overtaken it.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from .base import DIFFERENT, FAILED, WRONG_USE, die, query
from .catalogue import load_catalogue
from .listing import table
from .manifest import read_manifest
from .runtimes import debian_sources

KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SECURITY = "Debian-Security"  # the label of the security archive's Release file


class Mirrors:
    """What the mirrors have of one Debian release: apt in a folder of its own."""

    def __init__(self, suite):
        self.versions = {}  # package -> versions
        self.security = {}  # the same, of the security archive alone
        with tempfile.TemporaryDirectory(prefix="karreg-apt-") as folder:
            self._fetch(suite, folder)

    def _fetch(self, suite, folder):
        for name in ("state/lists/partial", "cache/archives/partial"):
            os.makedirs(f"{folder}/{name}")
        with open(f"{folder}/sources.list", "w") as file:
            file.writelines(f"{line}\n" for line in debian_sources(suite))
        # Those of this machine's apt, and of Debian's other releases.
        os.mkdir(f"{folder}/keys")
        trusted = query("apt-config", "shell", "FOLDER", "Dir::Etc::TrustedParts/d").partition("=")[2].strip().strip("'")
        for key in (*pathlib.Path(trusted).glob("*"), KEYRING):
            if key.exists():
                (pathlib.Path(folder) / "keys" / key.name).symlink_to(key)
        options = []
        for option in (f"Dir::State={folder}/state", f"Dir::State::Lists={folder}/state/lists", f"Dir::Cache={folder}/cache",
                       f"Dir::Etc::SourceList={folder}/sources.list", "Dir::Etc::SourceParts=/dev/null",
                       f"Dir::Etc::TrustedParts={folder}/keys", "Acquire::Languages=none", "APT::Sandbox::User="):
            options += ["-o", option]
        done = subprocess.run(["apt-get", "-qq", "--error-on=any", *options, "update"], capture_output=True, text=True)
        if done.returncode != 0:
            die(f"the packages of Debian {suite} could not be asked for: {done.stderr.strip()}", FAILED)
        targets = query("apt-get", *options, "indextargets", "--format", "$(FILENAME)\t$(LABEL)", "Created-By: Packages").splitlines()
        for target in targets:
            file, label = target.split("\t")
            self._read(query("/usr/lib/apt/apt-helper", "cat-file", file), label == SECURITY)
        if not self.versions:
            die(f"the mirrors have no packages of Debian {suite}", FAILED)

    def _read(self, text, is_security):
        for name, version in re.findall(r"^Package: (\S+)\n(?:.+\n)*?Version: (\S+)$", text, re.MULTILINE):
            self.versions.setdefault(name, set()).add(version)
            if is_security:
                self.security.setdefault(name, set()).add(version)

    def newer(self, packages):
        """Of @packages, name -> version: those that have a newer version here."""
        found = []
        for name, installed in sorted(packages.items()):
            newest = installed
            for version in self.versions.get(name, ()):
                newest = version if is_newer(version, newest) else newest
            if newest != installed:
                security = any(is_newer(version, installed) for version in self.security.get(name, ()))
                found.append({"package": name, "installed": installed, "newest": newest, "security": security})
        return found


def is_newer(version, than):
    # Most are equal, and dpkg is a process.
    return version != than and subprocess.run(["dpkg", "--compare-versions", version, "gt", than]).returncode == 0


def suite_of(row):
    """The Debian release that an image was made of, which its recipe may have left since."""
    found = re.search(r", Debian ([a-z]+)$", row["version"])
    if not found:
        die(f"the catalogue does not say which Debian release the image {row['digest'][:16]} is of; images/build makes it again", WRONG_USE)
    return found[1]


def look(out):
    mirrors, found = {}, {}
    for name, runtime in sorted(load_catalogue(out)["runtimes"].items()):
        found[name] = {}
        for variant in ("run", "build"):
            suite = suite_of(runtime[variant])
            if suite not in mirrors:
                mirrors[suite] = Mirrors(suite)
            found[name][variant] = mirrors[suite].newer(read_manifest(out, runtime[variant]["digest"]))
    return found


def print_outdated(arguments):
    found = look(arguments.out)
    lines = [(f"{name} {variant}", each["package"], each["installed"], "->", each["newest"], "security" if each["security"] else "")
             for name, variants in found.items() for variant, some in variants.items() for each in some]
    if arguments.json:
        print(json.dumps({"runtimes": found}, indent=1))
    elif lines:
        table(lines)
        print("\nimages/build --fresh makes the images again, from these")
    else:
        print(f"nothing newer for {len(found)} runtimes")
    sys.exit(DIFFERENT if lines else 0)
