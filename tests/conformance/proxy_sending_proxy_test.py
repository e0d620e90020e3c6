#!/usr/bin/python3
"""The PROXY protocol that karreg-proxy speaks to instances, as nginx and HAProxy read it. Prints TAP.

Each of them is an application's instance here, and answers with what it took for the visitor's address and port.
"""
import contextlib
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from proxy_process import Proxy, eventually, read_message, route, status_of  # noqa: E402
from tap import Tap  # noqa: E402

NGINX = """daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; {user}
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} proxy_protocol;
    location / {{ return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port"; }}
  }}
}}
"""
HAPROXY = """defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 10s
frontend all
  bind 127.0.0.1:{port} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port]{extras}"
"""
# Of version 2 alone; a dash stands for what is not there.
EXTRAS = " %[fc_pp_authority] %[fc_pp_unique_id]"


class Instance:
    """A server of another make that listens at a free port."""

    def __init__(self, program, configuration, arguments):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="karreg-sending-proxy."))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        user = "user root;" if pathlib.Path("/proc/self").owner() == "root" else ""
        file = self.folder / "conf"
        file.write_text(configuration.format(folder=self.folder, port=self.port, user=user, extras=EXTRAS))
        self.log = self.folder / "log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([program, *arguments, str(file)], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def __enter__(self):
        if not eventually(self.listens):
            words = self.log.read_text()
            self.__exit__()
            raise RuntimeError(f"it does not listen: {words}")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)


def ask(peer):
    peer.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    answer = read_message(peer)
    head, _, body = answer.partition(b"\r\n\r\n")
    return status_of(answer), head.decode(errors="replace"), body.decode(errors="replace").split()


def check(tap, name, instance, version):
    rules = {"instance": {"send_proxy": version}}
    with Proxy([route("a.test", instance) | {"rules": rules}]) as proxy:
        problems = []
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(proxy.client()) for _ in range(3)] + [stack.enter_context(proxy.tls_client("http/1.1"))]
            for peer in peers * 3:
                status, head, words = ask(peer)
                right = ["127.0.0.1", str(peer.getsockname()[1]), "127.0.0.1", str(peer.getpeername()[1])]
                if status != 200 or words[:4] != right:
                    problems.append(f"{right}: {status} {words}")
                if name == "HAProxy" and version == "v2":
                    authority = "a.test" if peer is peers[-1] else None
                    request_id = next(line[14:] for line in head.split("\r\n") if line.lower().startswith("x-request-id: "))
                    extras = [authority, request_id] if authority else [request_id]
                    if words[4:] != extras:
                        problems.append(f"{extras}: {words[4:]}")
        tap.check(f"{name} reads whose connection it is from the PROXY protocol {version}", not problems, "\n".join(problems))


def main():
    tap = Tap()
    servers = (("nginx", "nginx", NGINX, ["-c"]), ("HAProxy", "haproxy", HAPROXY, ["-db", "-f"]))
    for name, program, configuration, arguments in servers:
        path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
        if path is None:
            tap.skip(f"{name} reads whose connection it is from the PROXY protocol", f"install the Debian package {program}")
            continue
        with Instance(path, configuration, arguments) as instance:
            for version in ("v1", "v2"):
                check(tap, name, instance, version)
    return tap.code()


if __name__ == "__main__":
    sys.exit(main())
