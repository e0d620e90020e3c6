"""An image store of a test: small files in the place of images, written as images/build writes them."""
import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "images" / "build"
DAY = 24 * 3600

sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT / "images"), str(ROOT / "tests" / "support")]

from karreg_images.base import key_of  # noqa: E402
from karreg_images.catalogue import publish  # noqa: E402
from karreg_images.runtimes import all_recipes, steps_of  # noqa: E402
from karreg_images.sbom import namespace_of  # noqa: E402

PACKAGES = "libc6 2.41-12\nnginx-light 1.26.3-3\n"


def build(*arguments, text=None, env=None):
    """images/build as people call it: its exit code, its output, and what it says on its standard error."""
    done = subprocess.run([str(BUILD), *map(str, arguments)], capture_output=True, text=True, input=text, timeout=120,
                          env=os.environ | (env or {}))
    return done.returncode, done.stdout, done.stderr


class Store:
    def __init__(self, folder):
        self.out = pathlib.Path(folder)
        for name in ("blobs", "recipes", "manifests", "logs"):
            (self.out / name).mkdir()
        self.catalogue = {"format": 1, "runtimes": {}}
        for part in ("kernel", "initrd", "scratch_run", "scratch_build", "cache_template"):
            self.catalogue[part] = self.blob(part)
        self.publish()

    def publish(self):
        publish(self.out, self.catalogue)

    def blob(self, content, version="1", manifest=None, key=None):
        """A blob with its papers; gives its row in the catalogue."""
        row = {"digest": hashlib.sha256(content.encode()).hexdigest(), "bytes": len(content), "version": version}
        (self.out / "blobs" / row["digest"]).write_text(content)
        (self.out / "recipes" / (key or hashlib.sha256(f"recipe of {content}".encode()).hexdigest())).write_text(
            json.dumps(row | {"versions": {}}))
        if manifest is not None:
            (self.out / "manifests" / f"{row['digest']}.txt").write_text(manifest)
            (self.out / "manifests" / f"{row['digest']}.spdx.json").write_text(
                json.dumps({"documentNamespace": namespace_of(row["digest"])}))
        return row

    def image(self, name, variant, content, manifest=PACKAGES, of_today=False):
        """An image of the runtime @name. @of_today: as if today's recipe had made it."""
        key = None
        if of_today:
            maker, parts = steps_of(name, all_recipes()[name], variant)
            key = key_of(maker, *parts)
        return self.blob(content, f"{name} {variant}, Debian trixie", manifest, key)

    def runtime(self, name, run, build_image, versions=None):
        self.catalogue["runtimes"][name] = {"run": run, "build": build_image, "versions": versions or {}}
        self.publish()

    def age(self, days):
        """All of it was made, and left the catalogue, so many days earlier."""
        for file in self.out.rglob("*"):
            past = file.stat().st_mtime - days * DAY
            os.utime(file, (past, past))
        notes = self.out / "left.json"
        if notes.exists():
            notes.write_text(json.dumps({digest: note | {"at": note["at"] - days * DAY}
                                         for digest, note in json.loads(notes.read_text()).items()}))

    def files(self):
        return {str(file.relative_to(self.out)) for file in self.out.rglob("*") if file.is_file() and file.name != ".lock"}

    def has(self, row):
        return (self.out / "blobs" / row["digest"]).exists()

    def call(self, *arguments, **more):
        return build(*arguments, "--out", self.out, **more)


@contextlib.contextmanager
def a_store():
    with tempfile.TemporaryDirectory(prefix="karreg-test-") as folder:
        yield Store(folder)


def a_web_store(store):
    """The runtime static, made by today's recipe, of two small files."""
    store.runtime("static", store.image("static", "run", "an image", of_today=True),
                  store.image("static", "build", "a build image", PACKAGES + "hugo 0.131.0\n", of_today=True), {"nginx": "1.26.3-3"})
    return store
