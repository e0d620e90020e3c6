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

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "dev.d"))
from running_platform import ROOT, RunningPlatform, bounded

PRESET = os.environ.get("KARREG_PRESET", "release")
CACHE = pathlib.Path(os.environ.get("KARREG_CACHE_DIR") or "/var/cache/karreg")
STARTED = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


def compile_programs(*targets):
    say(f"compiling ({PRESET})")
    bounded(ROOT / "dev", "build", PRESET, *targets)


def ask(port, name, timeout=10, path="/"):
    """Status and body of GET @path of the host @name at a port of this machine; None when there is no whole answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Host": name})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def answers_200(port, name, timeout=10, path="/"):
    answer = ask(port, name, timeout, path)
    return answer is not None and answer[0] == 200


class Platform(RunningPlatform):
    """A platform in a folder of its own, which stop() removes, and one user of it."""

    def __init__(self):
        # Else an interrupted run would leave its platform behind.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        self.data = pathlib.Path(tempfile.mkdtemp(prefix="karreg-bench.", dir="/var/tmp"))
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="karreg-bench-app."))
        try:
            os.chmod(self.data, 0o755)
            say(f"starting a platform ({PRESET})")
            bounded(ROOT / "dev", "up", "--data", self.data, "--preset", PRESET)
            super().__init__(self.data, PRESET)
            self.user = self.create_user("bench@example.com", "Bench")
        except BaseException:
            self.stop()
            raise

    def stop(self):
        """What cannot be ended is said, and its folder left: `./dev down` needs it."""
        down = subprocess.run([ROOT / "dev", "down", "--data", self.data, "--wipe"], capture_output=True, text=True, timeout=300)
        shutil.rmtree(self.work, ignore_errors=True)
        if down.returncode != 0:
            failure = f"./dev down --data {self.data} ended with {down.returncode}:\n{(down.stdout + down.stderr)[-2000:]}"
            # Not in the place of what made us stop.
            if sys.exc_info()[0] is None:
                raise SystemExit(failure)
            say(failure)

    def call(self, method, path, body=None):
        return self.call_as(self.user, method, path, body)

    def create(self, name, variant):
        return self.call("POST", "/v2/self/applications", {"name": name, "instanceVariant": variant})

    def push(self, app, tree, message):
        """Commits all of @tree, changed or not, and pushes it: the deployment that it began, and when `git push` was started."""
        git = ["git", "-C", tree, "-c", "user.name=Bench", "-c", "user.email=bench@example.com"]
        url = self.api.replace("//", f"//{self.user['token']}:{self.user['secret']}@") + f"/git/{app}.git"
        bounded("git", "init", "-q", "-b", "master", tree)
        bounded(*git, "add", "-A")
        bounded(*git, "commit", "-q", "--allow-empty", "-m", message)
        began = time.time()
        bounded(*git, "push", "-q", url, "HEAD:master")
        return self.newest_deployment(self.user, app), began

    def wait(self, app, uuid):
        """The moments of that deployment once it is over; it must have gone well."""
        self.wait_for_deployment(self.user, app, uuid)
        return self.finished(uuid)

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


def own_network():
    """Goes on in a network of its own, which has a loopback and nothing else, and returns how TCP avoids congestion there: cubic,
    which is Debian's choice, or reno where this machine does not let others choose it. BBR, which some machines have, takes the
    delayed acknowledgement of an answer's end for a slow line, and then stalls the next answer for 40 ms, whoever sends it."""
    mark = "KARREG_BENCH_OWN_NETWORK"
    if mark not in os.environ:
        os.execvpe("unshare", ["unshare", "--net", sys.executable, *sys.argv], os.environ | {mark: "yes"})
    bounded("ip", "link", "set", "lo", "up")
    control = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control")
    for name in ("cubic", "reno"):
        try:
            control.write_text(name)
            break
        except OSError:
            pass
    return control.read_text().strip()


def print_figures(*arguments, **more):
    print(json.dumps(figures(*arguments, **more)))
