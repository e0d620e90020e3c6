#!/usr/bin/env python3
"""The demo: a user and an app, a push, a second version under load, a killed virtual machine.

  demo.py --data DIR --preset PRESET [--json FILE]

Runs against the platform that `./dev up` started in DIR. Exit code: 0 everything held; 1 something did not, which is said.
"""
import argparse
import base64
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
from running_platform import ROOT, RunningPlatform, bounded, qemu_of, stages_of, until

sys.path.append(str(ROOT / "tests" / "bench"))
from figures import figures, row

LOAD = ROOT / "tests" / "tools" / "steady_load.py"
REQUESTS_PER_SECOND = 100


def step(text):
    print(f"\n\033[1m==> {text}\033[0m" if sys.stdout.isatty() else f"\n==> {text}", flush=True)


def note(text):
    print(f"    {text}", flush=True)


class Demo:
    def __init__(self, platform):
        self.platform = platform
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="karreg-demo."))
        self.load = None
        self.results = {"stages": {}}

    def make_user_and_app(self):
        """One user for all demos on this platform; a fresh app for each."""
        step("A user and an app")
        remembered = self.platform.data / "demo-user.json"
        if remembered.exists():
            self.user = json.loads(remembered.read_text())
        else:
            self.user = self.platform.create_user("demo@example.org", "Demo", secrets.token_urlsafe(18))
            with open(os.open(remembered, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                json.dump(self.user, file)
        # One that an older demo made has tokens only.
        if "password" in self.user:
            self.platform.try_console(self.user)
        for app in self.platform.call_as(self.user, "GET", "/v2/self/applications"):
            if app["name"] == "hello-node":
                self.platform.call_as(self.user, "DELETE", f"/v2/self/applications/{app['id']}")
        app = self.platform.call_as(self.user, "POST", "/v2/self/applications", {"name": "hello-node", "instanceVariant": "auto"})
        self.app, self.host = app["id"], app["vhosts"][0]["fqdn"].rstrip("/")
        self.url = f"http://{self.host}:{self.platform.apps_port}/"
        note(f"user demo@example.org, app {app['name']} ({self.app})")

    def commit(self, version):
        """examples/hello-node as that version, in a repository whose remote is the platform."""
        tree = self.work / "hello-node"
        if not tree.exists():
            shutil.copytree(ROOT / "examples" / "hello-node", tree)
            self.git("init", "-q", "-b", "master")
            self.git("remote", "add", "karreg", f"{self.platform.api}/git/{self.app}.git")
            login = base64.b64encode(f"{self.user['token']}:{self.user['secret']}".encode()).decode()
            self.git("config", "http.extraHeader", f"Authorization: Basic {login}")
            self.git("config", "user.name", "Demo")
            self.git("config", "user.email", "demo@example.org")
        package = json.loads((tree / "package.json").read_text())
        package["version"] = version
        (tree / "package.json").write_text(json.dumps(package, indent=2) + "\n")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", f"Version {version}", "--allow-empty")

    def git(self, *arguments):
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        bounded("git", "-C", self.work / "hello-node", *arguments, env=environment)

    def push(self, version):
        """A plain `git push`; what the platform says appears as it says it."""
        step(f"git push karreg HEAD:master   (version {version})")
        began = time.monotonic()
        done = subprocess.run(["git", "-C", self.work / "hello-node", "push", "karreg", "HEAD:master"], timeout=600)
        if done.returncode != 0:
            raise SystemExit(f"the push of version {version} failed with exit code {done.returncode}")
        stages = stages_of(self.platform.finished(self.platform.newest_deployment(self.user, self.app)))
        stages["git_push"] = (time.monotonic() - began) * 1000
        self.results["stages"][f"version {version}"] = {name: round(value) for name, value in stages.items()}

    def page(self):
        request = urllib.request.Request(f"http://127.0.0.1:{self.platform.apps_port}/",
                                         headers={"Host": f"{self.host}:{self.platform.apps_port}"})
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.read().decode().strip()

    def show_page(self, version):
        step(f"curl {self.url}")
        page = self.page()
        note(page)
        if f"version {version}" not in page:
            raise SystemExit(f"the page should have come from version {version}")

    def start_load(self):
        step(f"A steady load of {REQUESTS_PER_SECOND} requests a second")
        self.load_file = self.work / "load.json"
        self.load_log = open(self.work / "load.log", "w")
        self.load = subprocess.Popen([sys.executable, LOAD, self.url, "--rate", str(REQUESTS_PER_SECOND), "--seconds", "900",
                                      "--out", self.load_file], stdout=self.load_log, stderr=self.load_log)
        self.wait_for_load("answers under load", lambda seen: seen["requests"] >= 2 * REQUESTS_PER_SECOND)
        note(f"{self.seen()['requests']} requests answered so far")

    def seen(self):
        return json.loads(self.load_file.read_text()) if self.load_file.exists() else {"requests": 0, "versions": {}}

    def wait_for_load(self, what, condition, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition(self.seen()):
            if self.load.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"no {what} within {seconds} s: {(self.work / 'load.log').read_text()[-500:]}")
            time.sleep(0.1)

    def end_load(self):
        """Ends the load once it has met version 2 for a while; says what it saw."""
        enough = 5 * REQUESTS_PER_SECOND
        self.wait_for_load("requests answered by version 2",
                           lambda seen: seen["versions"].get("2", {"requests": 0})["requests"] >= enough)
        # The old instance must have gone while the load still ran: its end is a part of the switch.
        until(120, "the end of the old instance", lambda: len(self.instances()) == 1)
        self.load.send_signal(signal.SIGTERM)
        self.load.wait(timeout=60)
        self.load = None
        seen = self.seen()
        self.results["load"] = seen
        step("The switch, seen by the load")
        for version, of_it in sorted(seen["versions"].items()):
            note(f"version {version}: {of_it['requests']:6} requests, from {of_it['first_s']:.2f} s to {of_it['last_s']:.2f} s")
        note(f"{seen['requests']} requests, {seen['errors']} lost; p50 {seen['p50_ms']} ms, p99 {seen['p99_ms']} ms, "
             f"longest pause between two answers {seen['longest_pause_ms']} ms")
        if seen["errors"]:
            raise SystemExit(f"requests were lost: {seen['examples']}")

    def instances(self):
        return self.platform.query(f"SELECT coalesce(json_agg(id), '[]') FROM instances "
                                   f"WHERE app_id = '{self.app}' AND kind = 'run' AND ended_at IS NULL")

    def kill_and_heal(self):
        step("Killing the process of the virtual machine")
        instance = self.instances()[0]
        found = qemu_of(instance)
        if found is None:
            raise SystemExit(f"no process runs instance {instance}")
        pid = found[0]
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        note(f"kill -9 {pid} (instance {instance})")
        until(120, "the end of the killed instance", lambda: instance not in self.instances())
        noticed = time.monotonic() - began

        def answers_again():
            try:
                return "version 2" in self.page()
            except urllib.error.URLError:
                return False
        until(120, "an answer of its successor", answers_again)
        healed = time.monotonic() - began
        note(f"noticed after {noticed:.2f} s; a new virtual machine answers after {healed:.2f} s: {self.page()}")
        self.results["heal"] = {"noticed_ms": round(noticed * 1000), "answers_again_ms": round(healed * 1000)}

    def table(self):
        step("How long each stage took (ms)")
        versions = list(self.results["stages"])
        # An artifact that exists already leaves out the stages of a build.
        names = list(max(self.results["stages"].values(), key=len))
        note("".join([f"{'':18}"] + [f"{version:>12}" for version in versions]))
        for name in names:
            note("".join([f"{name.replace('_', ' '):18}"] + [f"{self.results['stages'][v].get(name, '-'):>12}" for v in versions]))
        note(f"{'heal after a kill':18}{'':12}{self.results['heal']['answers_again_ms']:12}")

    def figures(self):
        """In the one shape of docs/architecture.md."""
        rows = [row(f"{version.replace(' ', '_')}.{stage}", [ms])
                for version, stages in self.results["stages"].items() for stage, ms in stages.items()]
        load = self.results["load"]
        rows.append({"row": "load.answer", "unit": "ms", "better": "lower", "n": load["requests"],
                     "ours": {"p50": load["p50_ms"], "p99": load["p99_ms"], "min": load["min_ms"], "max": load["max_ms"]}})
        rows.append(row("load.longest_pause", [load["longest_pause_ms"]]))
        rows.append(row("load.lost", [load["errors"]], unit="requests"))
        rows += [row(f"heal.{name.removesuffix('_ms')}", [ms]) for name, ms in self.results["heal"].items()]
        accelerator = self.platform.query("SELECT to_json(accelerator) FROM hosts LIMIT 1")
        return figures("demo", accelerator, rows)

    def close(self):
        if self.load:
            self.load.kill()
            self.load.wait()
        shutil.rmtree(self.work, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    demo = Demo(RunningPlatform(arguments.data, arguments.preset))
    try:
        demo.make_user_and_app()
        demo.commit("1")
        demo.push("1")
        demo.show_page("1")
        demo.start_load()
        demo.commit("2")
        demo.push("2")
        demo.end_load()
        demo.show_page("2")
        demo.kill_and_heal()
        demo.table()
    finally:
        demo.close()
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(demo.figures()) + "\n")
    step("Done, and all of it held")
    note(f"the app    {demo.url}")
    remembered = f"{arguments.data}/demo-user.json"
    note(f"the console  {demo.platform.api}/  "
         + (f"(e-mail and password are in {remembered})" if "password" in demo.user else
            f"(the user in {remembered} has no password: ./dev down --data {arguments.data} --wipe, and the next demo makes one)"))
    note(f"stop it all  ./dev down --data {arguments.data}")


main()
