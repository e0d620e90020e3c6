"""The proxies that are compared, each in a folder of its own: its configuration, its processes, their time and their memory.

All do the same work: find the backend by the host of the request among as many hosts as there are routes, keep connections
on both sides, add X-Forwarded-For, -Proto, -Host, -Port, Forwarded and a request id, and write no access log."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from figures import ROOT, answers_200
from load import open_files

PRESET = os.environ.get("KARREG_PRESET", "release")
# Those of the hosts that are asked for; the rest stands in the tables alone.
BUSY_HOSTS = 10
# Of one proxy. Each may have a second one to the upstream, and karreg-proxy keeps 1 024 files for the rest.
CONNECTIONS = min(20_000, (open_files() - 1_100) // 2)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def hosts(routes):
    return [f"app-{number}.bench.localhost" for number in range(routes)]


def busy_hosts(routes):
    """Spread over the whole table."""
    return hosts(routes)[:: max(1, routes // BUSY_HOSTS)][:BUSY_HOSTS]


def stat_of(pid):
    """Parent and processor time, in seconds, of a process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Server:
    """One program with its configuration file, in the foreground, on the processors @cpus."""

    def __init__(self, folder, cpus):
        self.folder = pathlib.Path(folder) / self.name
        self.folder.mkdir(parents=True)
        self.cpus = cpus
        self.process = None

    def start(self, *command, env=None):
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen(["taskset", "-c", self.cpus, *map(str, command)], stdin=subprocess.DEVNULL,
                                            stdout=output, stderr=output, env=env, cwd=self.folder)

    def wait_until_it_serves(self, host, path="/small", seconds=120):
        """Seconds from its start to its first 200, to a hundredth."""
        began = time.monotonic()
        while not answers_200(self.port, host, timeout=5, path=path):
            if self.process.poll() is not None or time.monotonic() - began > seconds:
                raise SystemExit(f"{self.name} does not serve: {(self.folder / 'output').read_text()[-2000:]}")
            time.sleep(0.005)
        return time.monotonic() - began

    def processes(self):
        """Its process and their children."""
        found = [self.process.pid]
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if stat_of(entry.name)[0] in found:
                    found.append(int(entry.name))
            except (OSError, ValueError):
                pass  # ended meanwhile
        return found

    def cpu_seconds(self):
        return sum(stat_of(pid)[1] for pid in self.processes())

    def memory(self):
        """Bytes, with what several processes share counted once."""
        kib = 0
        for pid in self.processes():
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    kib += int(line.split()[1])
        return kib * 1024

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT if self.name == "haproxy" else signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


def make_certificate(folder):
    """For all the hosts, with a key of the kind that is made today; chain and key in one file."""
    bundle = folder / "certificates/default.pem"
    bundle.parent.mkdir()
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                           "-subj", "/CN=bench", "-addext", "subjectAltName=DNS:*.bench.localhost", "-keyout", "/dev/stdout"],
                          capture_output=True, check=True, timeout=30)
    bundle.write_bytes(made.stdout)
    return bundle


def find_program(name):
    found = shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin:" + os.environ["PATH"])
    if found is None:
        raise SystemExit(f"{name} is not installed: ./dev packages bench")
    return found


class Upstream(Server):
    """What all of them forward to: nginx, with bodies of three sizes from memory."""

    name = "upstream"
    sizes = {"small": 100, "16k": 16 << 10, "1m": 1 << 20}

    def __init__(self, folder, cpus):
        super().__init__(folder, cpus)
        self.ports = [free_port() for _ in range(4)]
        self.port = self.ports[0]
        files = self.folder / "files"
        files.mkdir()
        for name, size in self.sizes.items():
            (files / name).write_bytes(b"k" * size)
        listens = " ".join(f"listen 127.0.0.1:{port} backlog=4096;" for port in self.ports)
        configuration = self.folder / "nginx.conf"
        configuration.write_text(f"""daemon off; pid {self.folder}/pid; error_log stderr error; worker_processes 1;
events {{ worker_connections {CONNECTIONS}; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; keepalive_timeout 600s; open_file_cache max=16;
  server {{
    {listens} root {files}; etag off;
    location = /where {{ return 200 "$http_host $server_port"; }}
  }}
}}
""")
        self.start(find_program("nginx"), "-c", configuration)
        self.wait_until_it_serves("any.localhost")


class Karreg(Server):
    """karreg-proxy, with the routes that its last run saved, each to an instance of its own."""

    name = "karreg"

    def __init__(self, folder, cpus, upstream, routes, certificate, more=()):
        super().__init__(folder, cpus)
        self.port, self.tls_port, admin = free_port(), free_port(), free_port()
        (self.folder / "proxy").mkdir()
        if routes:
            table = [{"host": host, "path": "/", "app_id": host,
                      "backends": [{"instance_id": f"of-{host}", "address": f"127.0.0.1:{upstream.port}"}]} for host in hosts(routes)]
            (self.folder / "proxy/proxy-1.json").write_text(json.dumps({"version": 1, "routes": table}))
        settings = {"DATA_DIR": self.folder, "PROXY_LISTEN": f"127.0.0.1:{self.port}", "PROXY_ADMIN_LISTEN": f"127.0.0.1:{admin}",
                    "PROXY_WORKERS": 1, "PROXY_ACCESS_LOG": "off", "PROXY_ACCESS_STREAMS": "false",
                    "PROXY_MAX_CONNECTIONS": CONNECTIONS, "PROXY_APP_SHARE": 100}
        if certificate:
            settings |= {"PROXY_TLS_LISTEN": f"127.0.0.1:{self.tls_port}", "PROXY_CERTIFICATES": certificate.parent}
        settings |= dict(more)
        self.start(ROOT / "build" / PRESET / "bin/karreg-proxy",
                   env=os.environ | {f"KARREG_{name}": str(value) for name, value in settings.items()})


class HAProxy(Server):
    """As its configuration manual advises for speed: one thread, a map in memory, connections to servers shared by all."""

    name = "haproxy"

    def __init__(self, folder, cpus, upstream, routes, certificate):
        super().__init__(folder, cpus)
        self.port, self.tls_port = free_port(), free_port()
        names = {host: f"busy{number}" for number, host in enumerate(busy_hosts(routes))}
        (self.folder / "hosts.map").write_text("".join(f"{host} {names.get(host, 'rest')}\n" for host in hosts(routes)))
        backends = "".join(f"backend {name}\n  server one 127.0.0.1:{upstream.port} pool-max-conn 1000\n"
                           for name in [*names.values(), "rest"])
        configuration = self.folder / "haproxy.cfg"
        configuration.write_text(f"""global
  nbthread 1
  ssl-default-bind-options ssl-min-ver TLSv1.2
  maxconn {CONNECTIONS}
defaults
  mode http
  http-reuse always
  timeout connect 3s
  timeout client 60s
  timeout server 180s
  timeout http-keep-alive 75s
  unique-id-format %{{+X}}o\\ %ci:%cp_%fi:%fp_%Ts_%rt:%pid
frontend visitors
  bind 127.0.0.1:{self.port} backlog 4096
  bind 127.0.0.1:{self.tls_port} backlog 4096 ssl crt {certificate} alpn h2,http/1.1
  option forwardfor
  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request set-header Forwarded "for=%[src];proto=%[ssl_fc,iif(https,http)];host=%[req.hdr(host)]"
  unique-id-header X-Request-Id
  http-response set-header X-Request-Id %[unique-id]
  use_backend %[req.hdr(host),field(1,:),lower,map_str({self.folder}/hosts.map,rest)]
{backends}""")
        self.start(find_program("haproxy"), "-db", "-f", configuration)


class Nginx(Server):
    """As its documentation advises: one worker, kept connections to upstreams, buffers in memory alone."""

    name = "nginx"

    def __init__(self, folder, cpus, upstream, routes, certificate):
        super().__init__(folder, cpus)
        self.port, self.tls_port = free_port(), free_port()
        names = {host: f"busy{number}" for number, host in enumerate(busy_hosts(routes))}
        (self.folder / "hosts.map").write_text("".join(f"{host} {names.get(host, 'rest')};\n" for host in hosts(routes)))
        upstreams = "".join(f"  upstream {name} {{ server 127.0.0.1:{upstream.port}; keepalive 64; keepalive_requests 100000000; }}\n"
                            for name in [*names.values(), "rest"])
        configuration = self.folder / "nginx.conf"
        configuration.write_text(f"""daemon off; pid {self.folder}/pid; error_log stderr error; worker_processes 1;
events {{ worker_connections {2 * CONNECTIONS}; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_timeout 75s; tcp_nodelay on;
  map_hash_max_size 1048576; map_hash_bucket_size 128;
  map $host $pool {{ default rest; include {self.folder}/hosts.map; }}
{upstreams}
  server {{
    listen 127.0.0.1:{self.port} backlog=4096;
    listen 127.0.0.1:{self.tls_port} ssl http2 backlog=4096; http2_max_concurrent_streams 128; http2_max_requests 100000000;
    ssl_certificate {certificate}; ssl_certificate_key {certificate}; ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache off;
    ssl_buffer_size 16k;
    location / {{
      proxy_pass http://$pool; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header Forwarded 'for=$remote_addr;proto=$scheme;host="$http_host"';
      proxy_set_header X-Request-Id $request_id; add_header X-Request-Id $request_id;
      proxy_buffers 16 32k; proxy_buffer_size 16k; proxy_busy_buffers_size 64k; proxy_max_temp_file_size 0;
    }}
  }}
}}
""")
        self.start(find_program("nginx"), "-c", configuration)
