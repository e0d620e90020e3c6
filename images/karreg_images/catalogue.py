"""The catalogue, <out>/catalogue.json: what is current (docs/contracts.md §5)."""
import json

from .base import WRONG_USE, die


def blob(record):
    return {"digest": record["digest"], "bytes": record["bytes"], "version": record["version"]}


def rows(catalogue):
    for part in ("kernel", "initrd", "scratch_run", "scratch_build", "cache_template"):
        yield part, catalogue[part]
    for name, runtime_row in sorted(catalogue["runtimes"].items()):
        yield f"{name} run", runtime_row["run"]
        yield f"{name} build", runtime_row["build"]


def load_catalogue(out):
    file = out / "catalogue.json"
    if not file.exists():
        die(f"no catalogue in {out}; make it with images/build --out {out}", WRONG_USE)
    return json.loads(file.read_text())
