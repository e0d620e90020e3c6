"""What the benchmarks share: a throw-away platform, progress, and the one shape of figures (docs/architecture.md)."""
import http.client
import json
import math
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRESET = os.environ.get("KARREG_PRESET", "release")
CACHE = pathlib.Path(os.environ.get("KARREG_CACHE_DIR") or "/var/cache/karreg")
STARTED = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


def run(*command, timeout=900, **options):
    """The output of a command that must succeed; else the end of what it said."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout, **options)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} {command[1] if len(command) > 1 else ''} ended with {done.returncode}:\n"
                         + (done.stdout + done.stderr)[-2000:])
    return done.stdout


def until(seconds, what, ready, pause=0.05):
    """Polls ready() until it gives something, and gives that."""
    deadline = time.monotonic() + seconds
    while True:
        found = ready()
        if found:
            return found
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {seconds} s")
        time.sleep(pause)


def ask(port, name, timeout=10):
    """Status and body of GET / of the host @name at a port of this machine; None when there is no whole answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", "/", headers={"Host": name})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def answers_200(port, name, timeout=10):
    answer = ask(port, name, timeout)
    return answer is not None and answer[0] == 200


class Platform:
    """A platform in a folder of its own, which stop() removes, and one user of it."""

    def __init__(self):
        # Else an interrupted run would leave its platform behind.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        self.data = pathlib.Path(tempfile.mkdtemp(prefix="karreg-bench.", dir="/var/tmp"))
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="karreg-bench-app."))
        try:
            os.chmod(self.data, 0o755)
            say(f"starting a platform ({PRESET})")
            run(ROOT / "dev", "up", "--data", self.data, "--preset", PRESET)
            self.ports = dict(line.split("=", 1) for line in (self.data / "ports.env").read_text().split())
            self.api = f"http://127.0.0.1:{self.ports['API_PORT']}"
            config = self.data / "karreg.toml"
            self.database = next(line.split('"')[1] for line in config.read_text().splitlines() if line.startswith("url ="))
            self.user = json.loads(run(ROOT / "build" / PRESET / "bin" / "karreg-api", "admin", "create-user", "--email",
                                       "bench@example.com", "--name", "Bench", "--config", config))
        except BaseException:
            self.stop()
            raise

    def stop(self):
        subprocess.run([ROOT / "dev", "down", "--data", self.data, "--wipe"], stdout=subprocess.DEVNULL, timeout=300)
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.api + path, method=method, data=json.dumps(body).encode() if body else None,
                                         headers={"Authorization": "Bearer " + self.user["api_token"]})
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                text = response.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path} was answered with {error.code}: {error.read().decode()[:500]}")

    def query(self, sql):
        """The one JSON value that @sql gives; None when there is no row."""
        text = run("psql", self.database, "-Atc", " ".join(sql.split()), timeout=30).strip()
        return json.loads(text) if text else None

    def create(self, name, variant):
        return self.call("POST", "/v2/self/applications", {"name": name, "instanceVariant": variant})

    def push(self, app, tree, message):
        """Commits all of @tree and pushes it: the deployment that it began, and when `git push` was started."""
        git = ["git", "-C", tree, "-c", "user.name=Bench", "-c", "user.email=bench@example.com"]
        url = self.api.replace("//", f"//{self.user['token']}:{self.user['secret']}@") + f"/git/{app}.git"
        run("git", "init", "-q", "-b", "master", tree)
        run(*git, "add", "-A")
        run(*git, "commit", "-q", "-m", message)
        began = time.time()
        run(*git, "push", "-q", url, "HEAD:master")
        return self.newest(app)["uuid"], began

    def newest(self, app):
        return self.call("GET", f"/v2/self/applications/{app}/deployments?limit=1")[0]

    def wait(self, app, uuid):
        """Until that deployment is over; it must have gone well."""
        path = f"/v2/self/applications/{app}/deployments/{uuid}"

        def over():
            deployment = self.call("GET", path)
            return deployment if deployment["state"] != "WIP" else None

        state = until(600, "the end of a deployment", over, 0.1)["state"]
        if state != "OK":
            why = self.query(f"SELECT to_json(message) FROM deployments WHERE uuid = '{uuid}'")
            raise SystemExit(f"a deployment ended in {state}: {why}")

    def accelerator(self):
        return self.query("SELECT to_json(accelerator) FROM hosts LIMIT 1")


def spread(values):
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, math.ceil(0.99 * len(ordered)) - 1)]
    return {"p50": round(statistics.median(ordered)), "p99": round(p99), "min": round(ordered[0]), "max": round(ordered[-1])}


def row(name, ours, theirs=None, peer=None, unit="ms", **more):
    """One row, the less the better; @theirs are the peer's figures where there is one."""
    made = {"row": name, "unit": unit, "better": "lower", "n": len(ours), "ours": spread(ours)}
    if theirs:
        made |= {"peer": peer, "theirs": spread(theirs)}
        made["ratio"] = round(statistics.median(ours) / statistics.median(theirs), 4)
    return made | more


def figures(bench, accelerator, rows, **more):
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    # An unpacked archive has no commit.
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, timeout=30)
    return {"bench": bench, "commit": commit.stdout.strip() or "unknown",
            "machine": {"cpus": os.cpu_count(), "memory_mb": memory, "accelerator": accelerator}, **more, "rows": rows}


def print_figures(*arguments, **more):
    print(json.dumps(figures(*arguments, **more)))
