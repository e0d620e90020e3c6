#!/usr/bin/env python3
"""What `images/build prune` removes of a store, and what it never does. Prints TAP."""
import json
import sys

from a_store import a_store, a_web_store

from tap import Tap

tap = Tap()
NOTHING = '{"images_in_use": []}\n'


def replaced(store):
    """The runtime static with new images; gives the run and the build image of before."""
    before = dict(a_web_store(store).catalogue["runtimes"]["static"])
    store.runtime("static", store.image("static", "run", "newer", of_today=True),
                  store.image("static", "build", "newer build", of_today=True))
    return before["run"], before["build"]


def goes_and_stays():
    with a_store() as store:
        run, made = replaced(store)
        current = store.files()
        code, out, _ = store.call("prune", "--in-use", "-", text=NOTHING)
        tap.check("what left the catalogue a moment ago stays", code == 0 and store.files() == current, out)
        store.age(6)
        code, out, _ = store.call("prune", "--in-use", "-", text=NOTHING)
        tap.check("and stays for a week", code == 0 and store.has(run), out)
        store.age(2)
        in_use = json.dumps({"images_in_use": [run["digest"], "0" * 64]})
        before = store.files()
        code, out, _ = store.call("prune", "--dry-run", "--in-use", "-", text=in_use)
        tap.check("a dry run says what would go, and removes nothing", code == 0 and store.files() == before
                  and f"would go: {made['digest'][:16]}" in out and "static build, Debian trixie" in out, out)
        code, out, said = store.call("prune", "--in-use", "-", text=in_use)
        tap.check("then it goes, with its recipe, its manifest and its SBOM",
                  code == 0 and not any(made["digest"] in file for file in store.files())
                  and "gone: 1 blobs" in out, out, "\n".join(sorted(store.files())))
        tap.check("an image that an app boots never goes, nor do its papers", store.has(run)
                  and {f"manifests/{run['digest']}.txt", f"manifests/{run['digest']}.spdx.json"} <= store.files(), out)
        tap.check("an image that an app needs and that is lost already is told",
                  f"an app needs the image {'0' * 16}, which is not in {store.out}" in said, said)
        code, out, _ = store.call("verify")
        tap.check("what the catalogue names is whole afterwards", code == 0, out)
        store.call("prune", "--in-use", "-", text=NOTHING)
        tap.check("when no app boots it any more, it goes, too, and its note of when it left", not store.has(run)
                  and json.loads((store.out / "left.json").read_text()) == {})


def days():
    with a_store() as store:
        run, _ = replaced(store)
        store.call("prune", "--in-use", "-", "--keep-days", "0", text=NOTHING)
        tap.check("--keep-days 0 takes at once what is not needed", not store.has(run))
    with a_store() as store:
        run = a_web_store(store).catalogue["runtimes"]["static"]["run"]
        store.age(100)
        store.runtime("static", store.image("static", "run", "newer"), store.image("static", "build", "newer build"))
        store.call("prune", "--in-use", "-", text=NOTHING)
        tap.check("the days count from when the catalogue ceased to name an image, not from when it was made", store.has(run))


def what_recipes_need():
    with a_store() as store:
        a_web_store(store)
        half = store.image("node", "run", "half of a runtime", of_today=True)
        old = store.image("node", "run", "of a recipe that is no more")
        (store.out / "logs" / "node-run-image.log").write_text("x")
        (store.out / "logs" / "static-run-image.log").write_text("x")
        (store.out / "logs" / "kernel.log").write_text("x")
        (store.out / "recipes" / ".cut-short").write_text("{")
        store.age(30)
        code, out, said = store.call("prune", "--nothing-in-use")
        tap.check("what today's recipe has made stays, although the catalogue does not name it yet", code == 0 and store.has(half),
                  out, said)
        tap.check("what a recipe of before has made goes", not store.has(old), out)
        logs = {file for file in store.files() if file.startswith("logs/")}
        tap.check("logs of runtimes that the catalogue does not have go, the others stay",
                  logs == {"logs/kernel.log", "logs/static-run-image.log"}, logs)
        tap.check("a file that was never finished goes", "recipes/.cut-short" not in store.files())


def no_guess():
    with a_store() as store:
        run, _ = replaced(store)
        store.age(30)
        for sentence, arguments, text in (
                ("without a list of what apps boot nothing is removed", (), None),
                ("nor where the program that prints it has failed", ("--in-use", "-"), ""),
                ("nor where its list is cut short", ("--in-use", "-"), NOTHING[:12]),
                ("nor where it is something else", ("--in-use", "-"), '{"images": []}'),
                ("nor where it has something else than digests", ("--in-use", "-"), '{"images_in_use": [1]}'),
                ("nor where its file is not there", ("--in-use", store.out / "no-such-file"), None),
                ("nor when both are said", ("--in-use", "-", "--nothing-in-use"), NOTHING)):
            code, out, said = store.call("prune", *arguments, text=text)
            tap.check(sentence, code == 2 and store.has(run) and said.startswith("images/build: "), code, out, said)
        code, _, said = store.call("prune", "--nothing-in-use", "--keep-days", "-1")
        tap.check("a number of days below 0 is refused", (code, said) == (2, "images/build: --keep-days -1: give 0 or more\n"), said)
        for number, digests in enumerate(([], [run["digest"]])):
            (store.out / f"platform-{number}").write_text(json.dumps({"images_in_use": digests}))
        store.call("prune", "--in-use", store.out / "platform-0", "--in-use", store.out / "platform-1")
        tap.check("platforms that share a store are asked one by one, and what either needs stays", store.has(run))


goes_and_stays()
days()
what_recipes_need()
no_guess()
sys.exit(tap.code())
