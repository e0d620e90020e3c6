#!/usr/bin/env python3
"""What `images/build outdated` finds, with the real apt and a mirror in a folder. Prints TAP."""
import gzip
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from a_store import a_store, a_web_store

from tap import Tap

tap = Tap()
ARCHITECTURE = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


class Mirror:
    """A folder that is a mirror of Debian for apt. Nobody has signed it, which apt is told to bear."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        for suite, label in (("trixie", "Debian"), ("trixie-updates", "Debian"), ("trixie-security", "Debian-Security")):
            self.has(suite, label, {})
        sources = "".join(f"deb file:{folder}/mirror {suite} main\n" for suite in ("trixie", "trixie-updates", "trixie-security"))
        for name in ("tmp", "state/lists/partial", "cache/archives/partial", "keys", "parts"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "sources.list").write_text(sources)
        (self.folder / "apt.conf").write_text(
            f'Dir::State "{folder}/state";\nDir::State::Lists "{folder}/state/lists";\nDir::Cache "{folder}/cache";\n'
            f'Dir::Etc::SourceList "{folder}/sources.list";\nDir::Etc::SourceParts "/dev/null";\nDir::Etc::Parts "{folder}/parts";\n'
            f'Dir::Etc::TrustedParts "{folder}/keys";\nAPT::Sandbox::User "";\nAcquire::AllowInsecureRepositories "true";\n')
        self.env = {"APT_CONFIG": str(self.folder / "apt.conf"), "TMPDIR": str(self.folder / "tmp")}
        subprocess.run(["apt-get", "-qq", "update"], env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **self.env}, check=True,
                       capture_output=True, timeout=60)

    def has(self, suite, label, packages):
        """From now on the packages of that suite are @packages, name -> versions, and one more: apt forgets an empty list."""
        packages = packages | {"base-files": ["1"]}
        text = "".join(f"Package: {name}\nArchitecture: {ARCHITECTURE}\nMaintainer: Debian\nVersion: {version}\n"
                       f"Filename: pool/{name}.deb\nSize: 1\n\n" for name, versions in packages.items() for version in versions)
        place = self.folder / "mirror" / "dists" / suite
        index = f"main/binary-{ARCHITECTURE}/Packages"
        files = {index: text.encode(), f"{index}.gz": gzip.compress(text.encode(), mtime=0)}
        for name, content in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
        sums = "".join(f" {hashlib.sha256(content).hexdigest()} {len(content)} {name}\n" for name, content in files.items())
        (place / "Release").write_text(f"Origin: Debian\nLabel: {label}\nSuite: {suite}\nCodename: {suite}\n"
                                       f"Architectures: {ARCHITECTURE}\nComponents: main\nDate: Sat, 01 Nov 2025 00:00:00 UTC\nSHA256:\n{sums}")


def looking():
    with tempfile.TemporaryDirectory(prefix="karreg-test-") as folder, a_store() as store:
        mirror = Mirror(folder)
        a_web_store(store)
        mirror.has("trixie", "Debian", {"libc6": ["2.41-12"], "nginx-light": ["1.26.3-3"], "hugo": ["0.131.0"], "other": ["9"]})
        code, out, said = store.call("outdated", env=mirror.env)
        tap.check("images of the newest packages are not outdated", (code, out) == (0, "nothing newer for 1 runtimes\n"), code, out, said)

        mirror.has("trixie-updates", "Debian", {"hugo": ["0.131.0", "0.99.0"], "libc6": ["2.41-12~older"]})
        code, out, said = store.call("outdated", env=mirror.env)
        tap.check("an older version in the mirrors is none", code == 0, out, said)

        mirror.has("trixie-updates", "Debian", {"hugo": ["0.131.1"]})
        mirror.has("trixie-security", "Debian-Security", {"libc6": ["2.41-12+deb13u1"], "nginx-light": ["1.26.3-2+deb13u9"]})
        code, out, said = store.call("outdated", "--json", env=mirror.env)
        newer = {"package": "libc6", "installed": "2.41-12", "newest": "2.41-12+deb13u1", "security": True}
        tap.check("a newer version is found, and those of the security archive are marked", code == 4
                  and json.loads(out)["runtimes"] == {"static": {"run": [newer], "build": [
                      {"package": "hugo", "installed": "0.131.0", "newest": "0.131.1", "security": False}, newer]}}, code, out, said)
        code, out, _ = store.call("outdated", env=mirror.env)
        tap.check("people read the same in columns", code == 4 and out.splitlines()[0].split()
                  == ["static", "run", "libc6", "2.41-12", "->", "2.41-12+deb13u1", "security"], out)

        mirror.has("trixie", "Debian", {"libc6": ["2.41-12+deb13u2"]})
        _, out, _ = store.call("outdated", "--json", env=mirror.env)
        tap.check("a security update that a point release has overtaken is still one", json.loads(out)["runtimes"]["static"]["run"]
                  == [newer | {"newest": "2.41-12+deb13u2"}], out)
        left = list((mirror.folder / "tmp").iterdir())
        tap.check("the folder that apt worked in is gone", not left, left)

        config = (mirror.folder / "apt.conf").read_text()
        (mirror.folder / "apt.conf").write_text(config.replace('"true"', '"false"'))
        code, out, said = store.call("outdated", env=mirror.env)
        tap.check("a mirror that nobody trusted has signed is refused", code == 1 and out == ""
                  and said.startswith("images/build: the packages of Debian trixie could not be asked for: ") and "not signed" in said, code, said)
        (mirror.folder / "apt.conf").write_text(config)
        shutil.rmtree(mirror.folder / "mirror/dists/trixie-security")
        code, out, said = store.call("outdated", env=mirror.env)
        tap.check("a mirror that does not answer is a failure, not an answer", code == 1 and out == "", code, out, said)


def without_a_release():
    with tempfile.TemporaryDirectory(prefix="karreg-test-") as folder, a_store() as store:
        mirror = Mirror(folder)
        a_web_store(store)
        store.catalogue["runtimes"]["static"]["run"]["version"] = "something"
        store.publish()
        code, _, said = store.call("outdated", env=mirror.env)
        tap.check("an image of an unknown release is told", code == 2 and "does not say which Debian release" in said, said)


looking()
without_a_release()
sys.exit(tap.code())
