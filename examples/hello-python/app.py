"""The smallest web application: says hello, and which version of it answers. Needs nothing but Python."""
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = "1"


class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"Hello from Karreg, version {VERSION}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass  # the proxy writes the access log


server = ThreadingHTTPServer(("0.0.0.0", int(os.environ.get("PORT", "8080"))), Hello)


def stop(*_):
    # shutdown() waits for serve_forever(), which runs in the thread that got the signal.
    threading.Thread(target=server.shutdown).start()


signal.signal(signal.SIGTERM, stop)
print(f"version {VERSION} listens on port {server.server_port}", flush=True)
server.serve_forever()
print(f"version {VERSION} stops", flush=True)
sys.exit(0)
