#!/usr/bin/env python3
"""Steady HTTP load that counts every request that was lost; prints one JSON object when it ends.

  steady_load.py URL [--connections N] [--rate N] [--seconds S] [--min-requests N] [--timeout S] [--out FILE]

Each connection is kept alive and sends its share of the rate. It ends after --seconds and --min-requests, or on SIGTERM
or SIGINT. Lost is whatever is not a whole answer with status 200: another status, a reset, a refused connection, a
time-out, a connection that the server closes without having announced it (`Connection: close`). Nothing is retried.
`--out` writes the same object to a file (whole, by rename) and a line per second to stderr. Exit code: 0 nothing lost,
1 something lost, 2 wrong use.
"""
import argparse
import collections
import http.client
import json
import os
import re
import signal
import socket
import sys
import threading
import time
import urllib.parse

VERSION = re.compile(rb"version ([A-Za-z0-9._-]+)")


class Tally:
    """What all connections saw. One lock: a few hundred requests a second."""

    def __init__(self):
        self.lock = threading.Lock()
        self.began = time.monotonic()
        self.requests = self.errors = self.resets = self.timeouts = 0
        self.statuses = collections.Counter()
        self.latencies = []
        self.versions = {}
        self.examples = []
        self.last_good = self.began
        self.longest_pause = 0.0

    def answered(self, status, body, seconds):
        now = time.monotonic()
        with self.lock:
            self.requests += 1
            self.statuses[status] += 1
            if status != 200:
                self.errors += 1
                self.example(now, f"status {status}: {body[:200].decode(errors='replace')}")
                return
            self.latencies.append(seconds)
            self.longest_pause = max(self.longest_pause, now - self.last_good)
            self.last_good = now
            found = VERSION.search(body)
            name = found.group(1).decode() if found else "?"
            at = round(now - self.began, 3)
            seen = self.versions.setdefault(name, {"requests": 0, "first_s": at, "last_s": at})
            seen["requests"] += 1
            seen["last_s"] = at

    def lost(self, error):
        now = time.monotonic()
        with self.lock:
            self.requests += 1
            self.errors += 1
            if isinstance(error, (socket.timeout, TimeoutError)):
                self.timeouts += 1
            elif isinstance(error, (ConnectionError, http.client.RemoteDisconnected, http.client.IncompleteRead)):
                self.resets += 1
            self.example(now, f"{type(error).__name__}: {error}")

    def example(self, now, text):
        if len(self.examples) < 10:
            self.examples.append(f"{now - self.began:.3f} s: {text}")

    def result(self):
        with self.lock:
            ordered = sorted(self.latencies)

            def quantile(q):
                return round(ordered[min(len(ordered) - 1, int(q * len(ordered)))] * 1000, 2) if ordered else None

            return {"requests": self.requests, "errors": self.errors, "resets": self.resets, "timeouts": self.timeouts,
                    "statuses": {str(k): v for k, v in sorted(self.statuses.items())}, "versions": self.versions,
                    "p50_ms": quantile(0.5), "p99_ms": quantile(0.99), "max_ms": quantile(1.0),
                    "longest_pause_ms": round(self.longest_pause * 1000, 1),
                    "seconds": round(time.monotonic() - self.began, 2), "examples": self.examples}


def client(target, host, path, tally, stopping, interval, timeout, offset):
    connection = None
    due = time.monotonic() + offset
    while not stopping.wait(max(0.0, due - time.monotonic())):
        # A slow answer delays the next request but does not pile up a debt of them.
        due = max(due + interval, time.monotonic())
        began = time.monotonic()
        try:
            if connection is None:
                connection = http.client.HTTPConnection(*target, timeout=timeout)
                connection.connect()
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.auto_open = 0  # a connection that was lost is an error and not opened silently
            connection.request("GET", path, headers={"Host": host})
            response = connection.getresponse()
            body = response.read()
            announced_close = response.will_close
            tally.answered(response.status, body, time.monotonic() - began)
            if announced_close:
                connection.close()
                connection = None
        except (OSError, http.client.HTTPException) as error:
            tally.lost(error)
            if connection is not None:
                connection.close()
            connection = None


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second, all connections together")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--min-requests", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=10.0)
    parser.add_argument("--out")
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
    threads = [threading.Thread(target=client, daemon=True,
                                args=(target, url.netloc, path, tally, stopping, interval, arguments.timeout,
                                      interval * i / arguments.connections))
               for i in range(arguments.connections)]
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
        # Whoever waits for a number of requests also wants an end when nothing answers any more.
        enough = result["requests"] >= arguments.min_requests or result["seconds"] > 10 * arguments.seconds
        if result["seconds"] >= arguments.seconds and enough:
            stopping.set()
    for thread in threads:
        thread.join(arguments.timeout + 5)
    result = tally.result()
    publish(result)
    print(json.dumps(result))
    return 1 if result["errors"] else 0


if __name__ == "__main__":
    sys.exit(main())
