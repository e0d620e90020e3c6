"""Making: all parts in order, or some runtimes."""
import json
import os

from .base import WRONG_USE, die, say
from .catalogue import blob, load_catalogue, publish
from .disks import initrd, template
from .kernel import kernel, stock_kernel
from .runtimes import all_recipes, check_names, registries, runtime
from .store import Store, alone


def need_root():
    if os.geteuid() != 0:
        die("making images needs root (mmdebstrap, mknod)", WRONG_USE)


def add_runtimes(store, catalogue, wanted, recipes):
    """Each is in the catalogue as soon as it is made: whoever waits for one does not wait for the next."""
    catalogue.setdefault("registries", registries())
    for name in wanted:
        made = {variant: runtime(store, name, recipes[name], variant) for variant in ("run", "build")}
        catalogue["runtimes"][name] = {"run": blob(made["run"]), "build": blob(made["build"]),
                                       "versions": made["run"]["versions"]}
        publish(store.out, catalogue)


def add_some(arguments):
    need_root()
    recipes = all_recipes()
    check_names(arguments.names, recipes)
    load_catalogue(arguments.out)
    with alone(arguments.out):
        add_runtimes(Store(arguments.out, arguments.fresh, arguments.share), load_catalogue(arguments.out), arguments.names, recipes)


def make_all(arguments):
    need_root()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with alone(arguments.out):
        make_alone(arguments)


def make_alone(arguments):
    store = Store(arguments.out, arguments.fresh, arguments.share)
    recipes = all_recipes()
    old = arguments.out / "catalogue.json"
    last = json.loads(old.read_text()) if old.exists() else {}
    if arguments.only:
        wanted = arguments.only.split(",")
        check_names(wanted, recipes)
    else:
        # Those that every platform has, and those that this one made before and that there still are.
        wanted = [name for name, recipe in recipes.items() if recipe.get("made") == "always" or name in last.get("runtimes", {})]
    # Once chosen, a store keeps its kind of kernel: whoever asked for Debian's cannot or will not compile.
    kind = arguments.kernel or last.get("kernel_kind", "own")
    vmlinux, modules = stock_kernel(store) if kind == "stock" else (kernel(store, arguments.jobs), None)
    catalogue = {
        "format": 1,
        "kernel_kind": kind,
        "kernel": blob(vmlinux),
        "initrd": blob(initrd(store, arguments.init, modules)),
        "scratch_run": blob(template(store, "scratch template", 4096, False)),
        "scratch_build": blob(template(store, "build scratch template", 10240, False)),
        "cache_template": blob(template(store, "cache template", 4096, True)),
        "runtimes": last.get("runtimes", {}),
        "registries": registries(),
    }
    if modules:
        # No VM is told of it, the initrd has it: it is named so that prune keeps it.
        catalogue["modules"] = blob(modules)
    add_runtimes(store, catalogue, wanted, recipes)
    say(f"catalogue: {old}")
