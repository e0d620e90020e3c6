#!/usr/bin/python3
"""Floods, and clients and applications that are slow on purpose, against a running karreg-proxy: each costs a bounded piece of memory,
others are served meanwhile, and afterwards all of it is gone. Prints TAP, and a table of what each has cost.

Each attack meets a proxy of its own. Its memory is what the kernel counts for the process (VmRSS; VmHWM, the most that it was, set
back before the attack), so that no peak is missed. What is asserted is the growth: `bound` says where it comes from.
KARREG_TEST_ROUNDS: how often all of it. Arguments: words of the attacks' names; without one, all.
"""
import concurrent.futures
import contextlib
import dataclasses
import gzip
import os
import pathlib
import signal
import socket
import struct
import sys
import threading
import time
import typing

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from http2_wire import (CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, PING, PREFACE, Client,
    # noqa: E402
                        frame, headers, indexed, priority, request, rst_stream, settings, window_update)
from proxy_process import App, Proxy, eventually, hello, read_message, read_to_end, route, status_of  # noqa: E402
from tap import Tap  # noqa: E402

HOST = b"Host: a.test\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
LARGE = 8_000_000
# A proxy built with sanitizers keeps what was freed aside, a quarter of a gigabyte: its memory says nothing.
SANITIZED = "asan" in os.environ.get("KARREG_TEST_BIN", "")


LARGE_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE + b"x" * LARGE


def answer(request_bytes):
    """/large: eight megabytes, one piece for all who ask; the rest: hi."""
    return LARGE_ANSWER if request_bytes.startswith(b"GET /large") else hello(request_bytes)


class Attack:
    """What an attack sees: the proxy, and a place for connections that all end with it."""

    def __init__(self, proxy, app, stack):
        self.proxy, self.app, self.stack, self.notes = proxy, app, stack, ""
        self.before, self.peak = 0, 0  # KiB of a proxy of its own, when it has one

    def connect(self, count=1):
        return [self.stack.enter_context(self.proxy.client()) for _ in range(count)]

    def connect_tls(self, count=1):
        return [self.stack.enter_context(self.proxy.tls_client()) for _ in range(count)]

    def http2(self, count=1, first=b""):
        peers = self.connect_tls(count)
        return [Client(peer, first=first) for peer in peers]

    def open(self):
        return self.proxy.metric("connections_open")


def pour(peer, blob, seconds, most=1 << 62, patience=0.2):
    """Sends @p blob again and again for @p seconds, reading nothing, or until nothing is taken for @p patience; how much was taken, and
    whether the peer has ended it."""
    deadline, sent = time.monotonic() + seconds, 0
    peer.settimeout(patience)
    while time.monotonic() < deadline and sent < most:
        try:
            peer.sendall(blob)
            sent += len(blob)
        except (socket.timeout, BlockingIOError):
            # Half a frame may be on its way: nothing may follow it.
            return sent, False
        except OSError:
            return sent, True
    return sent, False


def has_ended(peer, patience=10.0):
    """The proxy closes it, whatever it says before."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        peer.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            if not peer.recv(65536):
                return True
        except TimeoutError:
            return False
        except OSError:
            return True
    return False


def all_ended(peers, patience=10.0):
    deadline = time.monotonic() + patience
    return all(has_ended(peer, deadline - time.monotonic()) for peer in peers)


def trickle(peers, byte, seconds):
    """A byte each, every 0.1 s, until all have ended or @p seconds are over; how many are left."""
    deadline, left = time.monotonic() + seconds, list(peers)
    while left and time.monotonic() < deadline:
        for peer in list(left):
            try:
                peer.setblocking(False)
                peer.send(byte)
                if peer.recv(4096) == b"":
                    left.remove(peer)
            except BlockingIOError:
                pass
            except OSError:
                left.remove(peer)
        time.sleep(0.1)  # Not a wait for something: the attack's pace.
    return len(left)


# The attacks. Each returns whether it came to the end that it must come to.

def slow_heads(a):
    peers = a.connect(500)
    for peer in peers:
        peer.sendall(GET[:-2] + b"X-Slow: ")
    left = trickle(peers, b"x", 6)
    a.notes = "500 heads, a byte every 0.1 s"
    return left == 0


def slow_handshakes(a):
    peers = [a.stack.enter_context(socket.create_connection(("127.0.0.1", a.proxy.tls_port), timeout=10)) for _ in range(300)]
    for peer in peers:
        peer.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    left = trickle(peers, b"x", 6)
    a.notes = "300 ClientHellos, a byte every 0.1 s"
    return left == 0


def slow_bodies(a):
    peers = a.connect(300)
    for peer in peers:
        peer.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n" + b"x" * 10_000)
    a.notes = "300 bodies that stop"
    return all_ended(peers)


def slow_readers(a):
    peers = a.connect(100)
    for peer in peers:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.sendall(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
    a.notes = f"100 answers of {LARGE >> 20} MiB that nobody reads"
    ended = eventually(lambda: a.open() == 0)
    return ended


def connections(a):
    peers = []
    for _ in range(3_000):
        try:
            peers += a.connect()
        except OSError:
            break
    a.notes = f"{len(peers)} connections, 1000 allowed"
    few = eventually(lambda: a.open() <= 1_000)
    told = sum(1 for peer in peers[1_200:] if has_ended(peer, 2))
    return few and told >= len(peers) - 1_300


def resets_of_connections(a):
    for _ in range(5_000):
        with a.proxy.client() as peer:
            peer.send(GET)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    a.notes = f"5000 requests, each reset at once; {a.proxy.metric('client_left_total'):.0f} were on their way"
    return eventually(lambda: a.open() == 0)


def endless_heads(a):
    peers = a.connect(200)
    for peer in peers:
        pour(peer, b"X: " + b"x" * 8_000 + b"\r\n", 0.5, 64_000)
    a.notes = "200 heads without an end"
    return all_ended(peers)


def heads_of_one_line(a):
    peers = a.connect(200)
    for peer in peers:
        pour(peer, b"x" * 8_000, 0.5, 64_000)
    a.notes = "200 request lines without an end"
    return all_ended(peers)


def endless_chunks(a):
    peers = a.connect(100)
    for peer in peers:
        peer.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
        pour(peer, b"1;" + b"x" * 500 + b"\r\nx\r\n", 0.5, 200_000)
    a.notes = "100 bodies of extensions"
    return all_ended(peers)


def rapid_reset(a):
    # CVE-2023-44487.
    clients = a.http2(4)
    ended = 0
    for client in clients:
        blob = b"".join(headers(n) + rst_stream(n) for n in range(1, 40_001, 2))
        ended += not client.send(blob) or client.until(lambda c=client: c.ended or c.goaway() is not None)
    a.notes = f"4 x 20000 requests, each reset; {a.proxy.metric('backend_connects_total'):.0f} reached the application"
    return ended == 4


def resets_by_error(a):
    # CVE-2025-8671: what makes the server reset its streams.
    client = a.http2()[0]
    blob = b"".join(headers(n, request(b"POST"), END_HEADERS) + window_update(n, 0) for n in range(1, 20_001, 2))
    a.notes = "10000 requests that must be reset"
    return not client.send(blob) or client.until(lambda: client.ended or client.goaway() is not None)


def continuations(a):
    # CVE-2024-27316.
    ended = 0
    for client in a.http2(4):
        client.send(frame(HEADERS, END_STREAM, 1, b"\x82"))
        field = b"\x00\x01x\x7f" + b"\x81\x7d" + b"x" * 16_000
        sent, over = pour(client.peer, frame(CONTINUATION, 0, 1, field[:16_384]), 2, 1 << 26)
        ended += over or has_ended(client.peer)
    a.notes = "4 heads in frames without an end"
    return ended == 4


def empty_continuations(a):
    ended = 0
    for client in a.http2(4):
        client.send(frame(HEADERS, END_STREAM, 1, b"\x82"))
        sent, over = pour(client.peer, frame(CONTINUATION, 0, 1) * 1000, 3, 1 << 24)
        ended += over or has_ended(client.peer)
    a.notes = "4 heads in empty frames without an end"
    return ended == 4


# Bytes that a flood must have brought before its memory says anything.
LEAST_FLOOD = 1 << 20


def flood(blob, note, must_end=False, seconds=2.0):
    """@p blob again and again on four connections, of whose answers nothing is read."""
    def run(a):
        clients, ends, taken = a.http2(4), 0, 0
        for client in clients:
            sent, over = pour(client.peer, blob, 20, patience=10) if must_end else pour(client.peer, blob, seconds / 4)
            taken += sent
            ends += over
        a.notes = f"{note}: {taken >> 10} KiB taken, {ends} of 4 ended"
        return ends == 4 if must_end else taken > LEAST_FLOOD
    return run


def empty_data(a):
    clients, taken = a.http2(4), 0
    for client in clients:
        client.send(headers(1, request(b"POST"), END_HEADERS))
        taken += pour(client.peer, frame(DATA, 0, 1) * 1000, 0.5)[0]
    a.notes = f"{taken // 9} empty DATA frames"
    return taken > LEAST_FLOOD


def padded_data(a):
    clients, taken = a.http2(4), 0
    for client in clients:
        client.send(headers(1, request(b"POST"), END_HEADERS))
        taken += pour(client.peer, frame(DATA, 8, 1, b"\xff" + b"\0" * 255), 0.5)[0]
    a.notes = f"{taken >> 10} KiB of padding"
    return taken > LEAST_FLOOD


def window_updates(a):
    clients, taken = a.http2(4), 0
    for client in clients:
        client.send(headers(1, request(b"POST"), END_HEADERS))
        taken += pour(client.peer, (window_update(1, 1) + window_update(0, 1)) * 500, 0.5)[0]
    a.notes = f"{taken // 13} WINDOW_UPDATE frames"
    return taken > LEAST_FLOOD


def closed_windows(a):
    clients = a.http2(10, first=settings((INITIAL_WINDOW_SIZE, 0)))
    for client in clients:
        client.send(b"".join(headers(n, request(path=b"/large" if n < 8 else b"/")) for n in range(1, 101, 2)))
    a.notes = "10 x 50 answers behind a closed window"
    # Each stream has its time; then it is reset, and the connection is idle.
    return eventually(lambda: a.proxy.metric("client_left_total") >= 500, 20)


def windows_of_one_byte(a):
    # CVE-2019-9511.
    clients = a.http2(10, first=settings((INITIAL_WINDOW_SIZE, 1)))
    for client in clients:
        client.send(b"".join(headers(n, request(path=b"/large")) for n in range(1, 21, 2)))
        for _ in range(100):
            client.send(b"".join(window_update(n, 1) for n in range(1, 21, 2)))
    got = sum(client.until(lambda c=client: len(c.bodies.get(1, b"")) >= 50) for client in clients)
    a.notes = "10 x 10 answers, a byte at a time"
    return got == 10


def hpack_bombs(a):
    # One field of 3.9 KB goes into the table, and is then named by a byte each.
    field = b"\x82\x87\x84\x41\x06a.test" + indexed(b"x", b"x" * 3_900)
    clients = a.http2(8)
    for client in clients:
        client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, field))
        for n in range(3, 41, 2):
            client.send(frame(HEADERS, END_HEADERS | END_STREAM, n, b"\x82\x87\x84\xbe\x41\x06a.test" + b"\xbe" * 16_000))
    right = sum(client.until(lambda c=client: c.status(39) == 431 or c.goaway() is not None or c.ended) for client in clients)
    a.notes = "8 x 19 heads of 62 MB each, unpacked"
    return right == 8


def fresh_peak(proxy):
    """What a proxy of the case's own takes before the attack, from which its growth counts."""
    proxy.forget_peak()
    return proxy.resident_kib()


def gzip_bombs(a):
    # What is packed stays so, in both directions: nothing is unpacked here.
    bomb = gzip.compress(bytes(50_000_000))
    app = App(lambda _: b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb)
    with Proxy([route("a.test", app)]) as proxy:
        a.before = fresh_peak(proxy)
        for _ in range(10):
            with proxy.client() as peer:
                peer.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
                    + bomb)
                if not read_message(peer).endswith(bomb):
                    return False
        a.notes, a.peak = f"10 x {len(bomb) >> 10} KiB that would be 48 MiB, both ways", proxy.peak_kib()
        whole = app.taken()
        app.stop()
        return all(got.endswith(bomb) for got in whole) and len(whole) == 10


def streams_unread(a):
    clients = a.http2(10)
    for client in clients:
        client.send(b"".join(headers(n, request(path=b"/large")) for n in range(1, 41, 2)))
    a.notes = "10 x 20 answers of 8 MB, of which nothing is read"
    return eventually(lambda: a.open() == 0, 30)


def uploads_unread(a):
    # An application that reads nothing of 10 x 50 bodies.
    held = threading.Event()
    app = App(hello, early=lambda head: held.wait(8) and None if head.startswith(b"POST") else None)
    with Proxy([route("a.test", app)], CLIENT_TIMEOUT="3s", ANSWER_TIMEOUT="3s") as proxy, contextlib.ExitStack() as stack:
        a.before, sent = fresh_peak(proxy), 0
        for _ in range(10):
            client = Client(stack.enter_context(proxy.tls_client()))
            client.send(b"".join(headers(n, request(b"POST"), END_HEADERS) for n in range(1, 101, 2)))
            for n in range(1, 101, 2):
                # As much as the windows allow before one of them is closed.
                sent += 16_000 if client.send(frame(DATA, 0, n, b"x" * 16_000)) else 0
        served = status_of(proxy.talk(GET[:-2] + b"Connection: close\r\n\r\n")) == 200
        a.peak = proxy.peak_kib()
        held.set()
        a.notes = f"{sent >> 10} KiB of bodies that no application reads"
        alive = proxy.is_alive()
    app.stop()
    return served and alive


def hostile_answers(a):
    # Applications can flood, too.
    floods = {b"/fields": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000), b"/line": (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 8_000),
              b"/early": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 300),
              b"/extensions": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;" + b"y" * 500 + b"\r\nx\r\n"),
              b"/trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"X: y\r\n" * 1000)}

    def endless(request_bytes):
        begin, more = floods.get(request_bytes.split(b" ")[1], (hello(b""), b""))
        return begin + more * (2_000_000 // len(more) if more else 0)

    app = App(endless)
    with Proxy([route("a.test", app)]) as proxy:
        a.before = fresh_peak(proxy)
        for path in floods:
            for _ in range(20):
                came = proxy.talk(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
                if b"\r\n0\r\n\r\n" in came or len(came) > 200_000:
                    return False
        served = status_of(proxy.talk(GET[:-2] + b"Connection: close\r\n\r\n")) == 200
        a.notes, a.peak = "100 answers without an end", proxy.peak_kib()
        app.stop()
        return served


@dataclasses.dataclass
class Case:
    name: str
    run: typing.Callable
    bound_kib: int  # of growth
    why: str        # where the bound comes from
    full: bool = False  # it fills the proxy, which then says so to everybody


# A connection at work has a buffer of 64 KiB each way at most, and its frames; with TLS and HTTP/2 those of the libraries, too.
CASES = [
    Case("slow heads", slow_heads, 500 * 80 + 4_000, "500 x 80 KiB: a buffer and a request each"),
    Case("slow TLS handshakes", slow_handshakes, 300 * 64 + 4_000, "300 x 64 KiB: a handshake each"),
    Case("slow bodies", slow_bodies, 300 * 160 + 4_000, "300 x 160 KiB: two buffers and a request each"),
    Case("slow readers", slow_readers, 100 * 160 + 4_000, "100 x 160 KiB: two buffers and a request each"),
    Case("a flood of connections", connections, 1_000 * 4 + 4_000, "1000 x 4 KiB: idle ones hold no buffer", full=True),
    Case("connections that reset", resets_of_connections, 1_000 * 80 + 4_000, "1000 x 80 KiB: what may be in hand at once",
         full=True),
    Case("heads without end", endless_heads, 200 * 80 + 4_000, "200 x 80 KiB: refused at 16 KiB of head"),
    Case("lines without end", heads_of_one_line, 200 * 80 + 4_000, "200 x 80 KiB: refused at 16 KiB of head"),
    Case("chunk extensions without end", endless_chunks, 100 * 160 + 4_000, "100 x 160 KiB: refused at 16 KiB of extensions"),
    Case("HTTP/2 rapid reset", rapid_reset, 6_000, "4 connections of 128 streams, ended at 1000 resets"),
    Case("HTTP/2 resets by error", resets_by_error, 4_000, "a connection of 128 streams, ended at 1000 resets"),
    Case("HTTP/2 CONTINUATION", continuations, 3_000, "a head of 16 KiB each"),
    Case("HTTP/2 empty CONTINUATION", empty_continuations, 3_000, "a head of 16 KiB each"),
    Case("HTTP/2 SETTINGS", flood(settings((INITIAL_WINDOW_SIZE, 65_535)) * 500, "SETTINGS", True), 3_000,
        "1000 frames waiting each"),
    Case("HTTP/2 PING", flood(frame(PING, 0, 0, b"12345678") * 500, "PING", True), 3_000, "1000 frames waiting each"),
    Case("HTTP/2 PRIORITY", flood(b"".join(priority(0, n) for n in range(1, 2001, 2)), "PRIORITY"), 3_000,
        "nothing is kept of them"),
    Case("HTTP/2 unknown frames", flood(frame(0x42, 0, 0, b"x" * 16_384), "unknown"), 3_000, "nothing is kept of them"),
    Case("HTTP/2 heads on closed streams", flood(headers(3) + headers(1) * 500, "HEADERS"), 3_000, "nothing is kept of them"),
    Case("HTTP/2 empty DATA", empty_data, 3_000, "nothing is kept of them"),
    Case("HTTP/2 padding", padded_data, 3_000, "nothing is kept of it"),
    Case("HTTP/2 WINDOW_UPDATE", window_updates, 3_000, "nothing is kept of them"),
    Case("HTTP/2 closed windows", closed_windows, 10 * 50 * 80 + 8_000, "500 x 80 KiB: a buffer and a request each"),
    Case("HTTP/2 windows of one byte", windows_of_one_byte, 10 * 10 * 96 + 8_000, "100 x 96 KiB: a buffer and a request each"),
    Case("HTTP/2 HPACK bombs", hpack_bombs, 6_000, "16 KiB of head each, 431"),
    Case("HTTP/2 answers unread", streams_unread, 10 * 20 * 96 + 8_000, "200 x 96 KiB: a buffer and a request each"),
    Case("HTTP/2 bodies that no application reads", uploads_unread, 10 * 1_024 + 500 * 20 + 4_000,
         "10 x 1 MiB, the window of a connection, 500 x 20 KiB: a request"),
    Case("gzip bombs", gzip_bombs, 3_000, "nothing is unpacked"),
    Case("applications that flood", hostile_answers, 3_000, "16 KiB of head, of extensions, of trailers"),
]


class Visitor(threading.Thread):
    """Somebody else, who asks another application again and again while the attack runs."""

    def __init__(self, proxy):
        super().__init__(daemon=True)
        self.proxy, self.over, self.asked, self.failed, self.slowest = proxy, threading.Event(), 0, [], 0.0

    def run(self):
        while not self.over.wait(0.1):
            began = time.monotonic()
            try:
                with self.proxy.client() as peer:
                    peer.sendall(b"GET / HTTP/1.1\r\nHost: b.test\r\n\r\n")
                    came = read_message(peer)
            except OSError as error:
                came = str(error).encode()
            self.asked += 1
            self.slowest = max(self.slowest, time.monotonic() - began)
            if status_of(came) != 200:
                self.failed.append(came[:60])


def run_case(case):
    """Its row of the table, and what was not as it must be."""
    app, other, began = App(answer, forget=True), App(hello, forget=True), time.monotonic()
    short = {"HEADER_TIMEOUT": "2s", "CLIENT_TIMEOUT": "2s", "IDLE_TIMEOUT": "3s", "APP_SHARE": "100",
             "MAX_CONNECTIONS": "1000" if case.full else "4000"}
    wrong = []
    with Proxy([route("a.test", app), route("b.test", other)], **short) as proxy:
        proxy.talk(GET[:-2] + b"Connection: close\r\n\r\n")
        proxy.forget_peak()
        before = proxy.resident_kib()
        visitor = Visitor(proxy)
        visitor.start()
        with contextlib.ExitStack() as stack:
            attack = Attack(proxy, app, stack)
            if not case.run(attack):
                wrong.append("it did not come to the end that it must come to")
            held = proxy.resident_kib()
        visitor.over.set()
        visitor.join(20)
        peak = proxy.peak_kib()
        if attack.peak:
            before, peak, held = attack.before, attack.peak, attack.peak
        if visitor.failed and not (case.full and all(came.startswith(b"HTTP/1.1 503 ") or not came for came in visitor.failed)):
            wrong.append(f"{len(visitor.failed)} of {visitor.asked} requests of somebody else failed: {visitor.failed[0]}")
        if not proxy.is_alive():
            wrong.append("the proxy has died:\n" + proxy.log.read_text()[-2000:])
        elif not eventually(lambda: proxy.metric("connections_open") == 0, 10):
            wrong.append(f"{proxy.metric('connections_open')} connections are left")
        if peak - before > case.bound_kib and not SANITIZED:
            wrong.append(f"it cost {peak - before} KiB, more than {case.bound_kib} ({case.why})")
        after = proxy.resident_kib()
        code = proxy.stop(signal.SIGTERM)
        if code != 0:
            wrong.append(f"the proxy did not stop cleanly: {code}; its log:\n{proxy.last_words[-2000:]}")
    app.stop()
    other.stop()
    row = (f"{case.name:<40} {before:>8} {peak:>8} {held:>8} {after:>8} {peak - before:>8} {case.bound_kib:>8} {visitor.slowest * 1000:>7.0f}"
           f" {time.monotonic() - began:>7.1f}  {attack.notes}")
    return row, wrong


def main():
    tap = Tap()
    words = sys.argv[1:]
    cases = [case for case in CASES if not words or any(word in case.name for word in words)]
    for number in range(max(1, int(os.environ.get("KARREG_TEST_ROUNDS") or 1))):
        rows = []
        began = time.monotonic()
        # Most of them wait most of the time, each for a proxy of its own.
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            ran = list(pool.map(run_case, cases))
        for case, (row, wrong) in zip(cases, ran):
            rows.append(row)
            tap.check(f"{case.name}: bounded, and nobody else notices", not wrong, "\n".join(wrong), row)
        tap.say(f"round {number + 1}, {time.monotonic() - began:.0f} s; KiB of the proxy's memory (before, at most, at the end of the attack, "
                "after it; growth and its bound), ms of the slowest answer to somebody else, s of it all")
        tap.say(f"{'attack':<40} {'before':>8} {'peak':>8} {'held':>8} {'after':>8} {'growth':>8} {'bound':>8} {'slowest':>7} {'took':>7}")
        for row in rows:
            tap.say(row)
    return tap.code()


if __name__ == "__main__":
    sys.exit(main())
