"""A platform that `./dev up` started, for programs of this repository: its ports, its API, the stages of its deployments."""
import json
import os
import pathlib
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]

# Stages are milliseconds since the agent accepted the instance (wire::VmStages), -1 when never reached.
_STAGES = """
WITH d AS (SELECT * FROM deployments WHERE uuid = '{uuid}'),
     b AS (SELECT i.* FROM instances i JOIN d ON i.deployment = d.uuid WHERE i.kind = 'build' ORDER BY created_at LIMIT 1),
     r AS (SELECT i.* FROM instances i JOIN d ON i.deployment = d.uuid WHERE i.kind = 'run' ORDER BY created_at LIMIT 1)
SELECT json_build_object(
  'state', d.state, 'message', d.message,
  'requested', extract(epoch FROM d.requested_at) * 1000, 'ended', extract(epoch FROM d.ended_at) * 1000,
  'build_placed', (SELECT extract(epoch FROM created_at) * 1000 FROM b), 'build', (SELECT stages FROM b),
  'run_placed', (SELECT extract(epoch FROM created_at) * 1000 FROM r), 'run', (SELECT stages FROM r)) FROM d
"""


class RunningPlatform:
    """Addresses, settings and database of the platform in one data folder; @preset is what it was started from."""

    def __init__(self, data, preset):
        self.data = pathlib.Path(data)
        self.bin = ROOT / "build" / preset / "bin"
        ports = dict(line.split("=", 1) for line in (self.data / "ports.env").read_text().split())
        self.api = f"http://127.0.0.1:{ports['API_PORT']}"
        self.apps_port = int(ports["PROXY_PORT"])
        self.config = self.data / "karreg.toml"
        self.database = next(line.split('"')[1] for line in self.config.read_text().splitlines() if line.startswith("url ="))

    def create_user(self, email, name, password=None):
        """A new user: its tokens, as `karreg-api admin create-user` prints them, and what it signs in to the console with, if
        it is to have a password."""
        command = [self.bin / "karreg-api", "admin", "create-user", "--email", email, "--name", name, "--config", self.config]
        if password is None:
            return json.loads(bounded(*command))
        made = bounded(*command, "--password-stdin", input=password + "\n")
        return json.loads(made) | {"email": email, "password": password}

    def try_console(self, user):
        """Signs in to the console as its page does, is known there by the cookie alone, and signs out again."""
        def ask(method, body=None, cookie=None, path="/console/session"):
            request = urllib.request.Request(self.api + path, method=method, data=json.dumps(body).encode() if body else None,
                                             headers={"X-Karreg-Console": "1"} | ({"Cookie": cookie} if cookie else {}))
            try:
                return urllib.request.urlopen(request, timeout=30)
            except urllib.error.HTTPError as error:
                raise SystemExit(f"the console answered {method} {path} with {error.code}: {error.read().decode()[:300]}")
        with ask("POST", {"email": user["email"], "password": user["password"]}) as answer:
            cookie = answer.headers["Set-Cookie"].split(";")[0]
        with ask("GET", cookie=cookie, path="/v2/self") as answer:
            if json.load(answer)["email"] != user["email"]:
                raise SystemExit("the console signed in somebody else")
        ask("DELETE", cookie=cookie).close()

    def call_as(self, user, method, path, body=None):
        """One call of the REST API; the answer's JSON, or None."""
        request = urllib.request.Request(self.api + path, method=method, data=json.dumps(body).encode() if body else None,
                                         headers={"Authorization": "Bearer " + user["api_token"]})
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                text = response.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path} was answered with {error.code}: {error.read().decode()[:500]}")

    def query(self, sql):
        """The one JSON value that @sql gives; None when there is no row."""
        text = bounded("psql", self.database, "-AtXc", " ".join(sql.split()), seconds=30).strip()
        return json.loads(text) if text else None

    def newest_deployment(self, user, app):
        return self.call_as(user, "GET", f"/v2/self/applications/{app}/deployments?limit=1")[0]["uuid"]

    def wait_for_deployment(self, user, app, uuid, seconds=600):
        """Until it is over; its moments are then what finished() gives."""
        path = f"/v2/self/applications/{app}/deployments/{uuid}"
        until(seconds, f"the end of deployment {uuid}", lambda: self.call_as(user, "GET", path)["state"] != "WIP", 0.1)

    def finished(self, uuid):
        """The moments of a deployment that went well, for stages_of(); `requested` in milliseconds since the epoch."""
        moments = self.query(_STAGES.format(uuid=uuid))
        if moments["state"] != "OK":
            raise SystemExit(f"deployment {uuid} ended in {moments['state']}: {moments['message']}")
        return moments


def stages_of(moments):
    """Milliseconds that each stage of a deployment took, in their order; `total` is the whole of it."""
    s = moments
    stages = {}
    if s["build_placed"] is not None:
        stages["plan"] = s["build_placed"] - s["requested"]
        stages["build_vm_to_exec"] = s["build"]["exec_ms"]
        stages["build_and_pack"] = s["run_placed"] - s["build_placed"] - s["build"]["exec_ms"]
    else:
        stages["plan"] = s["run_placed"] - s["requested"]
    stages["run_vm_process"] = s["run"]["process_ms"]
    stages["run_vm_to_pid1"] = s["run"]["pid1_ms"] - s["run"]["process_ms"]
    stages["pid1_to_exec"] = s["run"]["exec_ms"] - s["run"]["pid1_ms"]
    stages["exec_to_healthy"] = s["run"]["healthy_ms"] - s["run"]["exec_ms"]
    stages["switch"] = s["ended"] - s["run_placed"] - s["run"]["healthy_ms"]
    stages["total"] = s["ended"] - s["requested"]
    return stages


def qemu_of(instance):
    """The QEMU process of an instance: its pid, its arguments, and its start as seconds since the epoch; None: there is none."""
    wanted = f"guest=karreg-{instance}"
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if not any(a.startswith(wanted) for a in arguments):
                continue
            ticks = int((folder / "stat").read_text().rpartition(")")[2].split()[19])
        except OSError:
            continue  # it ended while we looked
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        return int(folder.name), arguments, time.time() - age
    return None


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


def bounded(*command, seconds=900, **options):
    """What a command prints; SystemExit with its errors when it fails."""
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, **options)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} failed with {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout
