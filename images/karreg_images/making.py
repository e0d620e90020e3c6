"""Making: all parts in order, or some runtimes."""
import json
import os

from .base import NO_SUCH_PACKAGES, TOO_LARGE, WRONG_USE, die, say
from .catalogue import blob, load_catalogue, publish
from .disks import initrd, template
from .kernel import kernel, stock_kernel
from .mounts import take_own
from .outdated import Mirrors
from .packages import MOST_BYTES, asked_for, name_of, need_room, recipe_with, recipes_of, unknown
from .runtimes import all_recipes, check_names, registries, runtime
from .store import Store, alone


def become_maker():
    if os.geteuid() != 0:
        die("making images needs root (mmdebstrap, mknod)", WRONG_USE)
    take_own()


def add_runtimes(store, catalogue, wanted, recipes):
    """Each is in the catalogue as soon as it is made: whoever waits for one does not wait for the next."""
    catalogue.setdefault("registries", registries())
    for name in wanted:
        add_runtime(store, catalogue, name, recipes[name])


def add_runtime(store, catalogue, name, recipe, packages=None):
    """@packages: of Debian, that @recipe has beside those of its runtime."""
    def explain(trouble):
        """mmdebstrap does not say which of them it was."""
        if trouble.startswith(TOO_LARGE):
            die(f"the image with these packages is too large: {trouble} while it is made", NO_SUCH_PACKAGES)
        if missing := unknown(packages, Mirrors(recipe["suite"]).versions):
            die(f"Debian {recipe['suite']} has no package {', '.join(missing)}", NO_SUCH_PACKAGES)

    bounds = {"explain": explain, "most_bytes": MOST_BYTES} if packages else {}
    made = {variant: runtime(store, name, recipe, variant, **bounds) for variant in ("run", "build")}
    row = {"run": blob(made["run"]), "build": blob(made["build"]), "versions": made["run"]["versions"]}
    catalogue["runtimes"][name] = row | ({"packages": packages} if packages else {})
    publish(store.out, catalogue)


def add_some(arguments):
    become_maker()
    recipes = all_recipes()
    check_names(arguments.names, recipes)
    packages = asked_for(arguments.packages, arguments.build_packages)
    load_catalogue(arguments.out)
    with alone(arguments.out):
        store, catalogue = Store(arguments.out, arguments.fresh, arguments.share), load_catalogue(arguments.out)
        if packages is None:
            add_runtimes(store, catalogue, arguments.names, recipes)
            return
        need_room(arguments.out)
        for name in arguments.names:
            add_runtime(store, catalogue, name_of(name, packages), recipe_with(recipes[name], packages), packages)


def renew_with_packages(store, catalogue):
    """The runtimes that apps' packages were added to. One that Debian no longer has the packages for stays as it is."""
    for name, row in list(catalogue["runtimes"].items()):
        if "packages" not in row:
            continue
        try:
            add_runtime(store, catalogue, name, recipes_of(catalogue)[name], row["packages"])
        except (SystemExit, KeyError):
            say(f"{name} stays as it was made before, with {', '.join(row['packages']['run'] + row['packages']['build'])}")


def make_all(arguments):
    become_maker()
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
    if not arguments.only:
        renew_with_packages(store, catalogue)
    say(f"catalogue: {old}")
