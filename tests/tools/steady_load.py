#!/usr/bin/env python3
"""Steady HTTP load that counts every request that was lost; prints one JSON object when it ends.

  steady_load.py URL [--connections N] [--rate N] [--seconds S] [--timeout S] [--out FILE]
                 [--slow PATH] [--posts PATH] [--websockets PATH]

Each connection is kept alive and sends its share of the rate. It ends after --seconds, or on SIGTERM
or SIGINT. Lost is whatever is not a whole answer with status 200: another status, a reset, a refused connection, a
time-out, a connection that the server closes without having announced it (`Connection: close`). Nothing is retried.
`--out` writes the same object to a file (whole, by rename) and a line per second to stderr. Exit code: 0 nothing lost,
1 something lost, 2 wrong use.

Beside the GETs, for an application that has such paths (tests/e2e/load_app.js), on connections of their own, in the same
sums but not in the times:
  --slow        GETs of an answer that takes its time, so that some are in hand at every moment.
  --posts       POSTs, each with an id of its own: without a body, with a small one, with 1 MB. The answer tells how often
                the id was seen ("count N") and how much came ("bytes N"). One seen twice is an error, too.
  --websockets  conversations of 8 s: each message must come back; what ends one before we do is an error. With --posts
                they also ask each process for its counts: a POST that two processes carried out is seen by that.
"""
import argparse
import base64
import collections
import http.client
import json
import os
import re
import signal
import socket
import struct
import sys
import threading
import time
import urllib.parse

VERSION = re.compile(rb"version ([A-Za-z0-9._-]+)")
SEEN = re.compile(rb"count (\d+) bytes (\d+)")
SLOW_CONNECTIONS = 4
POST_CONNECTIONS = 4
POST_PAUSE_S = 0.1
POST_BODIES = [b"", b"small", b"", b"x" * 1_000_000]
WEBSOCKETS = 4
WEBSOCKET_S = 8.0
WEBSOCKET_PAUSE_S = 0.25


class Tally:
    """What all connections saw. One lock: a few hundred requests a second."""

    def __init__(self):
        self.lock = threading.Lock()
        self.began = time.monotonic()
        self.requests = self.errors = self.resets = self.timeouts = 0
        self.kinds = collections.Counter()
        self.posts = {}  # by process, by id: how often it was seen there
        self.doubled = set()
        self.statuses = collections.Counter()
        self.latencies = []
        self.versions = {}
        self.examples = []
        self.last_good = self.began
        self.longest_pause = 0.0

    def answered(self, status, body, seconds, kind="get"):
        now = time.monotonic()
        with self.lock:
            self.requests += 1
            self.kinds[kind] += 1
            self.statuses[status] += 1
            if status != 200:
                self.errors += 1
                self.example(now, f"status {status}: {body[:200].decode(errors='replace')}")
                return
            if kind == "get":
                self.latencies.append(seconds)
                self.longest_pause = max(self.longest_pause, now - self.last_good)
                self.last_good = now
            found = VERSION.search(body)
            name = found.group(1).decode() if found else "?"
            at = round(now - self.began, 3)
            seen = self.versions.setdefault(name, {"requests": 0, "first_s": at, "last_s": at})
            seen["requests"] += 1
            seen["last_s"] = at

    def echoed(self):
        with self.lock:
            self.requests += 1
            self.kinds["websocket"] += 1

    def twice(self, post, text):
        """An error of its own: the POST was answered, perhaps even well."""
        with self.lock:
            if post not in self.doubled:
                self.doubled.add(post)
                self.errors += 1
                self.example(time.monotonic(), f"POST {post}: {text}")

    def posts_of(self, process, posts):
        with self.lock:
            self.posts.setdefault(process, {}).update(posts)
            times = collections.Counter()
            for seen in self.posts.values():
                times.update(seen)
        for post, count in times.items():
            if count > 1:
                self.twice(post, f"carried out {count} times, by {len(self.posts)} processes together")

    def lost(self, error, kind="get"):
        now = time.monotonic()
        with self.lock:
            self.requests += 1
            self.kinds[kind] += 1
            self.errors += 1
            if isinstance(error, (socket.timeout, TimeoutError)):
                self.timeouts += 1
            elif isinstance(error, (ConnectionError, http.client.RemoteDisconnected, http.client.IncompleteRead)):
                self.resets += 1
            self.example(now, f"{kind}: {type(error).__name__}: {error}")

    def example(self, now, text):
        if len(self.examples) < 10:
            self.examples.append(f"{now - self.began:.3f} s: {text}")

    def result(self):
        with self.lock:
            ordered = sorted(self.latencies)

            def quantile(q):
                return round(ordered[min(len(ordered) - 1, int(q * len(ordered)))] * 1000, 2) if ordered else None

            return {"requests": self.requests, "errors": self.errors, "resets": self.resets, "timeouts": self.timeouts,
                    "kinds": dict(self.kinds), "doubled": len(self.doubled),
                    "statuses": {str(k): v for k, v in sorted(self.statuses.items())}, "versions": self.versions,
                    "min_ms": quantile(0.0), "p50_ms": quantile(0.5), "p99_ms": quantile(0.99), "max_ms": quantile(1.0),
                    "longest_pause_ms": round(self.longest_pause * 1000, 1),
                    "seconds": round(time.monotonic() - self.began, 2), "examples": self.examples}


class Kept:
    """A connection that is kept from request to request, and opened again only after an end that was announced or lost."""

    def __init__(self, target, host, timeout):
        self.target, self.host, self.timeout = target, host, timeout
        self.connection = None

    def ask(self, method, path, body=None):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(*self.target, timeout=self.timeout)
            self.connection.connect()
            self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connection.auto_open = 0  # a connection that was lost is an error and not opened silently
        self.connection.request(method, path, body=body, headers={"Host": self.host})
        response = self.connection.getresponse()
        text = response.read()
        if response.will_close:
            self.close()
        return response.status, text

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def client(kept, path, tally, stopping, interval, offset, kind):
    due = time.monotonic() + offset
    while not stopping.wait(max(0.0, due - time.monotonic())):
        # A slow answer delays the next request but does not pile up a debt of them.
        due = max(due + interval, time.monotonic())
        began = time.monotonic()
        try:
            status, body = kept.ask("GET", path)
            tally.answered(status, body, time.monotonic() - began, kind)
        except (OSError, http.client.HTTPException) as error:
            tally.lost(error, kind)
            kept.close()


def poster(kept, path, tally, stopping, number):
    sent = 0
    while not stopping.wait(POST_PAUSE_S):
        post, body = f"{os.getpid()}-{number}-{sent}", POST_BODIES[sent % len(POST_BODIES)]
        kind = "upload" if len(body) > 1000 else "post"
        sent += 1
        began = time.monotonic()
        try:
            status, text = kept.ask("POST", f"{path}?id={post}", body)
            seen = SEEN.search(text)
            if status == 200 and (seen is None or int(seen.group(2)) != len(body)):
                raise http.client.HTTPException(f"{len(body)} bytes were sent, the answer is {text[:200]!r}")
            tally.answered(status, text, time.monotonic() - began, kind)
            if status == 200 and int(seen.group(1)) != 1:
                tally.twice(post, f"the application saw it {int(seen.group(1))} times")
        except (OSError, http.client.HTTPException) as error:
            tally.lost(error, kind)
            kept.close()


class WebSocket:
    """RFC 6455, as much as the application of the test speaks: whole text frames, close."""

    def __init__(self, target, host, path, timeout):
        self.socket = socket.create_connection(target, timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        status = self.file.readline()
        while self.file.readline() not in (b"\r\n", b""):
            pass
        if b" 101 " not in status:
            raise http.client.HTTPException(f"no WebSocket: {status!r}")

    def send(self, opcode, payload):
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self.socket.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked)

    def receive(self):
        head = self.exactly(2)
        size = head[1]
        if size == 126:
            size = struct.unpack(">H", self.exactly(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.exactly(8))[0]
        return head[0] & 15, self.exactly(size)

    def exactly(self, size):
        data = self.file.read(size)
        if len(data) < size:
            raise ConnectionResetError("the WebSocket ended without a close frame")
        return data

    def ask(self, text):
        self.send(1, text)
        opcode, answer = self.receive()
        if opcode != 1:
            raise http.client.HTTPException(f"the WebSocket was closed by the other end: {answer!r}")
        return answer

    def close(self):
        self.file.close()
        self.socket.close()


def talker(target, host, path, tally, stopping, timeout, offset, ask_for_posts):
    """Conversations one after the other; staggered, so that one is open at every moment, for some seconds more."""
    stopping.wait(offset)
    while not stopping.is_set():
        talk = None
        try:
            talk = WebSocket(target, host, path, timeout)
            ends = time.monotonic() + WEBSOCKET_S
            while time.monotonic() < ends and not stopping.wait(WEBSOCKET_PAUSE_S):
                text = os.urandom(20).hex().encode()
                back = talk.ask(text)
                if back != text:
                    raise http.client.HTTPException(f"the WebSocket gave back {back[:200]!r} for {text!r}")
                tally.echoed()
            if ask_for_posts:
                counts = json.loads(talk.ask(b"posts"))
                tally.posts_of(counts["process"], counts["posts"])
            talk.send(8, struct.pack(">H", 1000))
            if talk.receive()[0] != 8:
                raise http.client.HTTPException("a WebSocket that we closed was not closed by the other end")
        except (OSError, http.client.HTTPException) as error:
            tally.lost(error, "websocket")
            stopping.wait(WEBSOCKET_PAUSE_S)
        finally:
            if talk is not None:
                talk.close()


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second, all connections together")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--timeout", type=float, default=10.0)
    parser.add_argument("--out")
    for paths in ("--slow", "--posts", "--websockets"):
        parser.add_argument(paths)
    arguments = parser.parse_args()
    url = urllib.parse.urlsplit(arguments.url)
    if url.scheme != "http" or not url.hostname:
        parser.error("the URL must look like http://app.localhost:8080/")
    # Names under .localhost are this machine, whatever its resolver thinks.
    name = "127.0.0.1" if url.hostname == "localhost" or url.hostname.endswith(".localhost") else url.hostname
    target, path = (name, url.port or 80), (url.path or "/") + (f"?{url.query}" if url.query else "")

    stopping, tally = threading.Event(), Tally()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    interval = arguments.connections / arguments.rate

    def kept():
        return Kept(target, url.netloc, arguments.timeout)

    work = [(client, (kept(), path, tally, stopping, interval, interval * i / arguments.connections, "get"))
            for i in range(arguments.connections)]
    if arguments.slow:
        work += [(client, (kept(), arguments.slow, tally, stopping, 0.0, 0.5 * i, "slow")) for i in range(SLOW_CONNECTIONS)]
    if arguments.posts:
        work += [(poster, (kept(), arguments.posts, tally, stopping, i)) for i in range(POST_CONNECTIONS)]
    if arguments.websockets:
        work += [(talker, (target, url.netloc, arguments.websockets, tally, stopping, arguments.timeout,
                           WEBSOCKET_S * i / WEBSOCKETS, bool(arguments.posts))) for i in range(WEBSOCKETS)]
    threads = [threading.Thread(target=function, args=args, daemon=True) for function, args in work]
    for thread in threads:
        thread.start()

    def publish(result):
        if arguments.out:
            with open(arguments.out + ".new", "w") as file:
                json.dump(result, file)
            os.replace(arguments.out + ".new", arguments.out)

    while not stopping.wait(1.0):
        result = tally.result()
        publish(result)
        if arguments.out:
            print(f"{result['requests']} requests, {result['errors']} lost, versions {list(result['versions'])}",
                  file=sys.stderr)
        if result["seconds"] >= arguments.seconds:
            stopping.set()
    for thread in threads:
        thread.join(arguments.timeout + 5)
    result = tally.result()
    publish(result)
    print(json.dumps(result))
    return 1 if result["errors"] else 0


if __name__ == "__main__":
    sys.exit(main())
