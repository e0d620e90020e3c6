"""karreg-proxy as a process of its own, with routes from a file and no broker, and scripted applications behind it.

Every wait has a deadline. Nothing but loopback is used.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

PATIENCE = 10.0  # seconds for what should come at once


def programs_folder():
    """bin/ of the build that is tested: KARREG_TEST_BIN, which ./dev test sets, or the debug build of this tree."""
    named = os.environ.get("KARREG_TEST_BIN")
    return pathlib.Path(named) if named else pathlib.Path(__file__).resolve().parents[2] / "build" / "debug" / "bin"


def eventually(holds, patience=PATIENCE):
    """The first true value of holds(); its last value after @p patience seconds."""
    deadline = time.monotonic() + patience
    while True:
        value = holds()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(0.02)


def end_of_chunks(data, at):
    """Where the chunks that begin at @p at end, with their trailers; None while they do not."""
    while (line := data.find(b"\r\n", at)) >= 0:
        size = re.fullmatch(rb"([0-9a-fA-F]+)(;.*)?", data[at:line], re.DOTALL)
        if not size:
            return None
        if int(size[1], 16) == 0:
            end = data.find(b"\r\n\r\n", line)
            return None if end < 0 else end + 4
        at = line + 2 + int(size[1], 16) + 2
        if data[at - 2:at] != b"\r\n":
            return None
    return None


def whole_message(data):
    """Length of the first message in @p data, by Content-Length or chunks; None while it is not whole."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end + 2].lower()
    # Answers that have no body whatever they say (RFC 9112 section 6.3).
    if re.match(rb"http/1\.1 (1\d\d|204|304) ", head):
        return end + 4
    if b"\r\ntransfer-encoding: chunked\r\n" in head:
        return end_of_chunks(data, end + 4)
    length = re.search(rb"\r\ncontent-length: (\d+)\r\n", head)
    size = end + 4 + (int(length[1]) if length else 0)
    return size if len(data) >= size else None


class App:
    """An application: @p answer(request bytes) gives the answer's bytes for each request; None ends the connection.

    @p early(head): what is said before the body has come, if anything. What it got of every connection stays in `requests` (whole
    messages) and `left_over` (bytes that made no message), unless it is to @p forget. `accepted`: connections so far; `open`: those
    that have not ended.
    """

    def __init__(self, answer, early=None, forget=False):
        self.answer, self.early = answer, early
        self.forget = forget
        self.requests, self.left_over, self.accepted, self.open = [], [], 0, 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.accepted += 1
                self.open += 1
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        try:
            self._serve_requests(peer)
        finally:
            with self.lock:
                self.open -= 1

    def _serve_requests(self, peer):
        data, said = b"", False
        with peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                size = whole_message(data)
                end = data.find(b"\r\n\r\n")
                if self.early and end >= 0 and not said:
                    said = True
                    word = self.early(data[:end + 4])
                    if word:
                        peer.sendall(word)
                if size is None:
                    try:
                        more = peer.recv(65536)
                    except OSError:
                        more = b""
                    if not more:
                        if data and not self.forget:
                            with self.lock:
                                self.left_over.append(data)
                        return
                    data += more
                    continue
                request, data, said = data[:size], data[size:], False
                if not self.forget:
                    with self.lock:
                        self.requests.append(request)
                answer = self.answer(request)
                if answer is None:
                    return
                try:
                    peer.sendall(answer)
                except OSError:
                    return

    def taken(self):
        """What it got since the last call, oldest first."""
        with self.lock:
            requests, self.requests = self.requests, []
            return requests

    def stop(self):
        # A thread that waits in accept() wakes only by this.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def hello(_request):
    return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def mirror(request):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(request) + request


def route(host, *apps):
    return {"host": host, "path": "/", "app_id": "app_" + host,
            "backends": [{"instance_id": f"vm-{app.address}", "address": app.address} for app in apps]}


class Proxy:
    """A running karreg-proxy, master and serving process, with @p routes; @p settings as environment variables without KARREG_PROXY_."""

    def __init__(self, routes, **settings):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="karreg-proxy-test."))
        (self.folder / "proxy").mkdir()
        (self.folder / "proxy" / "proxy-1.json").write_text(json.dumps({"version": 1, "routes": routes}))
        certificates = self.folder / "certificates"
        certificates.mkdir()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=a.test", "-addext", "subjectAltName=DNS:a.test", "-keyout", certificates / "key",
                        "-out", certificates / "cert"], check=True, capture_output=True, timeout=60)
        (certificates / "default.pem").write_text((certificates / "cert").read_text() + (certificates / "key").read_text())
        chosen = {"LISTEN": "127.0.0.1:0", "TLS_LISTEN": "127.0.0.1:0", "ADMIN_LISTEN": "127.0.0.1:0", "ACCESS_LOG": "off",
                  "CERTIFICATES": str(certificates), "WORKERS": "2"} | settings
        environment = {"KARREG_PROXY_" + name: str(value) for name, value in chosen.items()}
        # A port where nobody listens: these tests change no route.
        environment |= {"KARREG_DATA_DIR": str(self.folder), "KARREG_BROKER_PORT": "9", "PATH": os.environ["PATH"]}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                environment[name] = os.environ[name]
        self.log, self.last_words = self.folder / "log", ""
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([programs_folder() / "karreg-proxy"], env=environment, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        try:
            up = eventually(lambda: re.search(r"proxy is up.* port=(\d+) tls_port=(\d+) admin_port=(\d+).*\n", self.log.read_text())
                            or self.process.poll() is not None, 30)
            if not isinstance(up, re.Match):
                raise RuntimeError("karreg-proxy did not start:\n" + self.log.read_text())
            self.port, self.tls_port, self.admin_port = (int(up[i]) for i in (1, 2, 3))
        except BaseException:
            self.stop(signal.SIGKILL)
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop(signal.SIGKILL)

    def is_alive(self):
        return self.process.poll() is None

    def stop(self, number=signal.SIGTERM):
        """The exit code; that of SIGKILL when it does not end in a minute. `last_words`: its log."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait(60)
        if self.log.exists():
            self.last_words = self.log.read_text(errors="replace")
        shutil.rmtree(self.folder, ignore_errors=True)
        return code

    def client(self, patience=PATIENCE):
        peer = socket.create_connection(("127.0.0.1", self.port), timeout=patience)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return peer

    def tls_client(self, protocol="h2", patience=PATIENCE):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols([protocol])
        peer = socket.create_connection(("127.0.0.1", self.tls_port), timeout=patience)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(peer, server_hostname="a.test")

    def talk(self, text, patience=PATIENCE):
        """All that comes back for @p text until the proxy closes, or is silent for @p patience."""
        with self.client(patience) as peer:
            try:
                peer.sendall(text)
            except OSError:
                pass
            return read_to_end(peer)

    def serving(self):
        """The pid of the process that serves; the one that was started is its master, and has no visitors."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])

    def _status_kib(self, name):
        text = pathlib.Path(f"/proc/{self.serving()}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)[1])

    def resident_kib(self):
        """Memory of the process that serves, now, as the kernel counts it."""
        return self._status_kib("VmRSS")

    def peak_kib(self):
        """The most that it was since forget_peak(), or since the process began."""
        return self._status_kib("VmHWM")

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.serving()}/clear_refs").write_text("5")

    def metric(self, name):
        answer = b""
        with socket.create_connection(("127.0.0.1", self.admin_port), timeout=PATIENCE) as peer:
            peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = read_to_end(peer)
        found = re.search(rf"^karreg_proxy_{name} (\S+)$", answer.decode(), re.MULTILINE)
        return float(found[1]) if found else None


def read_to_end(peer):
    data = b""
    while True:
        try:
            more = peer.recv(65536)
        except OSError:
            return data
        if not more:
            return data
        data += more


def read_message(peer, data=b"", count=1):
    """One message with its body, or @p count of them; what came of it, when the rest does not. What comes after it in the same
    read is dropped: who waits for more asks for more."""
    end = 0
    for _ in range(count):
        while (size := whole_message(data[end:])) is None:
            try:
                more = peer.recv(65536)
            except OSError:
                return data
            if not more:
                return data
            data += more
        end += size
    return data[:end]


def status_of(answer):
    """Of an answer's bytes; 0: there is none."""
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    return int(found[1]) if found else 0
