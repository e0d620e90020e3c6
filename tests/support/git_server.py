#!/usr/bin/env python3
"""Serves the bare repositories of a folder on a port of this machine, until its standard input ends.

git_server.py FOLDER [ADDRESS PORT]: a free port of 127.0.0.1, or that one; writes the port as its first line. Repositories are reached below
  /smart/  as most hosts serve them (git http-backend)
  /dumb/   as plain files, without shallow fetches
  /private/  as /smart/, for the user `me` with the password `hid:den` alone
"""
import base64
import http.server
import os
import pathlib
import subprocess
import sys
import threading
import urllib.parse

FOLDER = pathlib.Path(sys.argv[1]).resolve()
ADDRESS, PORT = (sys.argv[2], int(sys.argv[3])) if len(sys.argv) > 2 else ("127.0.0.1", 0)
ALLOWED = "Basic " + base64.b64encode(b"me:hid:den").decode()


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        _, kind, *rest = urllib.parse.unquote(url.path).split("/")
        path = "/".join(rest)
        if kind == "private" and self.headers.get("Authorization") != ALLOWED:
            return self.answer(401, [("WWW-Authenticate", 'Basic realm="git"')], b"")
        if kind in ("smart", "private"):
            return self.backend(path, url.query)
        file = (FOLDER / path).resolve()
        if kind != "dumb" or not file.is_relative_to(FOLDER) or not file.is_file():
            return self.answer(404, [], b"")
        return self.answer(200, [], file.read_bytes())

    do_POST = do_GET

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        whole = b""
        while size := int(self.rfile.readline(), 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def backend(self, path, query):
        env = dict(os.environ, GIT_PROJECT_ROOT=str(FOLDER), GIT_HTTP_EXPORT_ALL="1", PATH_INFO="/" + path,
                   QUERY_STRING=query, REQUEST_METHOD=self.command, CONTENT_TYPE=self.headers.get("Content-Type", ""),
                   GIT_PROTOCOL=self.headers.get("Git-Protocol", ""), REMOTE_ADDR="127.0.0.1",
                   HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding", ""), GIT_CONFIG_COUNT="1",
                   GIT_CONFIG_KEY_0="safe.directory", GIT_CONFIG_VALUE_0="*")
        done = subprocess.run(["git", "http-backend"], input=self.body(), stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, env=env, check=False)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")]
        status = int(dict(headers).get("Status", "200").split()[0])
        self.answer(status, [each for each in headers if each[0] != "Status"], body)


server = http.server.ThreadingHTTPServer((ADDRESS, PORT), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
