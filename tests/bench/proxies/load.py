"""Loads on a proxy: wrk for requests over kept connections, and connections that say nothing."""
import dataclasses
import json
import resource
import socket
import subprocess
import time

MOST_OPEN_FILES = 100_000

# Asks for each host in turn; the last line of the output is what `done` prints.
SCRIPT = """
local hosts = {{{hosts}}}
local requests = {{}}
local at = 0
function init()
  for i, host in ipairs(hosts) do
    requests[i] = wrk.format("GET", "{path}", {{["Host"] = host{more}}})
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\\n{{"requests": %d, "seconds": %f, "p50": %d, "p99": %d, "p999": %d, "failed": %d, "misrouted": %d}}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout, the_thread:get("misrouted")))
end
misrouted = 0
function setup(thread) the_thread = thread end
"""

# Added where each answer must come from an application of its host: it says "HOST PORT", and hosts with even numbers are
# served at the first two of four ports.
CHECK = """
local ports = {{{ports}}}
function response(status, headers, body)
  local number, port = body:match("^app%-(%d+)%.[^ ]* (%d+)$")
  local at = number and 2 * (number % 2) + 1
  if not at or (tonumber(port) ~= ports[at] and tonumber(port) ~= ports[at + 1]) then misrouted = misrouted + 1 end
end
"""


# Added where connections pause between an answer and their next request.
PAUSE = """
function delay() return math.random(0, {most}) end
"""


@dataclasses.dataclass(frozen=True)
class Load:
    """GET requests for one file over so many connections."""

    name: str
    path: str
    connections: int = 64
    tls: bool = False
    new_connections: bool = False  # one for each request
    streams: int = 0  # of HTTP/2 on each connection; 0: HTTP/1.1
    pace: float = 0  # requests a second, about (HTTP/1.1 has less, by the time its answers take); 0: as many as can be

    def longest_pause(self):
        """In ms; by HTTP/1.1 a connection pauses at random before a request, for half as long in the mean."""
        return max(1, round(2000 * self.connections / self.pace))


def requests(server, folder, hosts, load, seconds, cpus, ports=None):
    """Requests a second, the same for each second of the proxy's processor, and latencies in microseconds. With @ports the
    answers are checked (CHECK)."""
    before = server.cpu_seconds()
    seen = by_http2(server, folder, hosts, load, seconds, cpus) if load.streams else \
        by_http1(server, folder, hosts, load, seconds, cpus, ports)
    cpu = server.cpu_seconds() - before
    if seen["failed"] or seen["misrouted"] or not seen["requests"]:
        raise SystemExit(f"{server.name} failed under load ({load.name}): {seen}")
    return seen | {"per_second": seen["requests"] / seen["seconds"], "per_cpu_second": seen["requests"] / cpu,
                   "cpu_us": cpu / seen["requests"] * 1e6}


def by_http2(server, folder, hosts, load, seconds, cpus):
    log = folder / "h2load.log"
    log.unlink(missing_ok=True)
    pace = ["--rps", f"{load.pace / load.connections:.3f}"] if load.pace else []
    subprocess.run(["taskset", "-c", cpus, "h2load", *pace, "-t", "1", "-c", str(load.connections), "-m", str(load.streams), "-D",
                    str(seconds), f"--connect-to=127.0.0.1:{server.tls_port}", f"--log-file={log}",
                    *(f"https://{host}:{server.tls_port}{load.path}" for host in hosts)],
                   stdout=subprocess.DEVNULL, timeout=seconds + 60, check=True)
    rows = [line.split("\t") for line in log.read_text().splitlines()]
    times = sorted(int(row[2]) for row in rows)
    def at(part):
        return times[min(len(times) - 1, int(part * len(times)))]
    return {"requests": len(rows), "seconds": seconds, "p50": at(0.5), "p99": at(0.99), "p999": at(0.999), "misrouted": 0,
            "failed": sum(row[1] != "200" for row in rows)}


def by_http1(server, folder, hosts, load, seconds, cpus, ports):
    script = folder / "load.lua"
    script.write_text(SCRIPT.format(hosts=", ".join(f'"{host}"' for host in hosts), path=load.path,
                                    more=', ["Connection"] = "close"' if load.new_connections else "") +
                      (CHECK.format(ports=", ".join(map(str, ports))) if ports else "") +
                      (PAUSE.format(most=load.longest_pause()) if load.pace else ""))
    address = f"https://127.0.0.1:{server.tls_port}" if load.tls else f"http://127.0.0.1:{server.port}"
    command = ["taskset", "-c", cpus, "wrk", "-t", "1", "-c", str(load.connections), "-d", f"{seconds}s", "-s", script, address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def open_files():
    """How many this program and those it starts may have; as many as root can give itself and them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        return most
    return MOST_OPEN_FILES


def idle_connections(server, host, count):
    """Bytes of the proxy's memory for each of @count connections that had an answer and then wait."""
    request = f"GET /small HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    before = server.memory()
    held = []
    try:
        for begin in range(0, count, 100):
            batch = []
            for _ in range(begin, min(begin + 100, count)):
                batch.append(socket.create_connection(("127.0.0.1", server.port), timeout=10))
                held.append(batch[-1])
                batch[-1].sendall(request)
            for one in batch:
                read_answer(one)
        time.sleep(1)  # what a proxy gives back after an answer, it has given back
        return (server.memory() - before) / count
    finally:
        for one in held:
            one.close()


def read_answer(connection):
    seen = b""
    while b"\r\n\r\n" not in seen or len(seen.split(b"\r\n\r\n", 1)[1]) < 100:
        got = connection.recv(4096)
        if not got:
            raise SystemExit(f"no whole answer: {seen!r}")
        seen += got
    if not seen.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"not the answer of the upstream: {seen!r}")
