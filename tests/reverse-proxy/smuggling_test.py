#!/usr/bin/python3
"""Requests and answers that two programs could read in two ways, against a running karreg-proxy: none is passed on. Prints TAP.

Behind the proxy stands a recorder that keeps every byte of every connection and answers each whole request with its own target, so
that an answer which reaches the wrong visitor shows. What the proxy refuses must not reach it at all; what the proxy passes on must be
whole requests of its own making, whatever the visitor wrote. KARREG_TEST_ROUNDS: how often all of it.
"""
import gzip
import json
import os
import pathlib
import re
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from http2_wire import (DATA, END_HEADERS, END_STREAM, HEADERS, Client, block, frame, headers, request)  # noqa: E402
from proxy_process import App, Proxy, eventually, read_message, read_to_end, route, status_of, whole_message  # noqa: E402
from tap import Tap  # noqa: E402

ANSWER = re.compile(rb"HTTP/1\.1 \d{3} ")
HOST = b"Host: a.test\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"


def with_length(value, body=b"hello"):
    return POST + b"Content-Length: " + value + b"\r\n\r\n" + body + HIDDEN


def with_coding(line, body=CHUNKS):
    return POST + line + b"\r\n\r\n" + body + HIDDEN


def with_both(line, body=b"0\r\n\r\n"):
    return POST + b"Content-Length: 6\r\n" + line + b"\r\n\r\n" + body + HIDDEN


# Refused before anything of them goes on.
REFUSED = {
    # Where does the body end? (RFC 9112 section 6.3)
    "CL.TE: a length and chunks": with_both(b"Transfer-Encoding: chunked"),
    "TE.CL: chunks and a length": POST + CHUNKED + b"Content-Length: 4\r\n\r\n2c\r\n" + HIDDEN + b"\r\n0\r\n\r\n",
    "CL.TE with a coding that is not known": with_both(b"Transfer-Encoding: xchunked"),
    "CL.TE with a space before the colon": with_both(b"Transfer-Encoding : chunked"),
    "CL.TE with a tab before the colon": with_both(b"Transfer-Encoding\t: chunked"),
    "CL.TE on a folded line": with_both(b"X: y\r\n Transfer-Encoding: chunked"),
    "CL.TE folded within": with_both(b"Transfer-Encoding:\r\n chunked"),
    "CL.TE after a bare line feed": with_both(b"X: y\nTransfer-Encoding: chunked"),
    "CL.TE after a bare carriage return": with_both(b"X: y\rTransfer-Encoding: chunked"),
    "CL.TE after a NUL": with_both(b"X: y\0Transfer-Encoding: chunked"),
    "CL.TE with a vertical tab": with_both(b"Transfer-Encoding:\x0bchunked"),
    "CL.TE with a form feed": with_both(b"Transfer-Encoding: chunked\x0c"),
    "CL.TE with a NUL in the name": with_both(b"Transfer-Encoding\0: chunked"),
    "CL.TE with a byte over 0x7f in the name": with_both(b"Transfer-Encoding\xa0: chunked"),
    "TE.TE: two codings, the second one unknown": with_coding(CHUNKED + b"Transfer-Encoding: x"),
    "TE.TE: two codings, the first one unknown": with_coding(b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked"),
    "TE.TE: chunked twice": with_coding(CHUNKED + b"Transfer-Encoding: chunked"),
    "TE.TE: chunked twice in one field": with_coding(b"Transfer-Encoding: chunked, chunked"),
    "TE: chunked before another coding": with_coding(b"Transfer-Encoding: chunked, identity"),
    "TE: chunked after another coding": with_coding(b"Transfer-Encoding: gzip, chunked"),
    "TE: in quotes": with_coding(b'Transfer-Encoding: "chunked"'),
    "TE: with a parameter": with_coding(b"Transfer-Encoding: chunked;q=1"),
    "TE: empty": with_coding(b"Transfer-Encoding:"),
    "TE: with a comma only": with_coding(b"Transfer-Encoding: ,chunked"),
    "TE: in HTTP/1.0": b"POST / HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n" + CHUNKS + HIDDEN,
    "CL.CL: two that differ": with_length(b"5\r\nContent-Length: 0"),
    "CL.CL: two that are equal": with_length(b"5\r\nContent-Length: 5"),
    "CL: a list": with_length(b"5, 5"),
    "CL: with a sign": with_length(b"+5"),
    "CL: negative": with_length(b"-5"),
    "CL: hexadecimal": with_length(b"0x5"),
    "CL: with a point": with_length(b"5.0"),
    "CL: two numbers": with_length(b"5 5"),
    "CL: with a NUL": with_length(b"5\0"),
    "CL: with a letter after": with_length(b"5a"),
    "CL: empty": with_length(b""),
    "CL: of digits that are none of ASCII's": with_length("５".encode()),
    "CL: 2^64 and 5": with_length(b"18446744073709551621"),
    "CL: of a thousand digits": with_length(b"9" * 1000),
    "CL: folded": with_length(b"\r\n 5"),
    # Where does the head end, and what are its lines? (RFC 9112 sections 2.2 and 5)
    "bare line feeds": b"GET / HTTP/1.1\n" + b"Host: a.test\n\n" + HIDDEN,
    "one bare line feed": b"GET / HTTP/1.1\r\nHost: a.test\nX: y\r\n\r\n" + HIDDEN,
    "an end of bare line feeds": b"GET / HTTP/1.1\r\nHost: a.test\n\n" + HIDDEN,
    "bare carriage returns": b"GET / HTTP/1.1\rHost: a.test\r\r\n\r\n" + HIDDEN,
    "CR CR LF": b"GET / HTTP/1.1\r\nHost: a.test\r\r\n\r\n" + HIDDEN,
    "a NUL in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "a NUL in a name": b"GET / HTTP/1.1\r\n" + HOST + b"X\0: a\r\n\r\n",
    "a NUL in the target": b"GET /\0 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a NUL before the method": b"\0GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a carriage return in the target": b"GET /\rx HTTP/1.1\r\n" + HOST + b"\r\n",
    "a DEL in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x7f\r\n\r\n",
    "a folded line": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n\tb\r\n\r\n",
    "a first line that is folded": b"GET / HTTP/1.1\r\n X: a\r\n" + HOST + b"\r\n",
    "a space before a colon": b"GET / HTTP/1.1\r\nHost : a.test\r\n\r\n",
    "a line without a colon": b"GET / HTTP/1.1\r\n" + HOST + b"nothing\r\n\r\n",
    "a field without a name": b"GET / HTTP/1.1\r\n" + HOST + b": a\r\n\r\n",
    "a name in brackets": b"GET / HTTP/1.1\r\n" + HOST + b"(X): a\r\n\r\n",
    "bad UTF-8 in a name": b"GET / HTTP/1.1\r\n" + HOST + b"X\xc3\x28: a\r\n\r\n",
    "a target with a space": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target with a whole request": b"GET / HTTP/1.1\x20HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method with a colon": b"GET: / HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/0.9": b"GET /hidden\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\n" + HOST + b"\r\n",
    "HTTP/1.10": b"GET / HTTP/1.10\r\n" + HOST + b"\r\n",
    "HTTP/01.1": b"GET / HTTP/01.1\r\n" + HOST + b"\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    # Which host is it? (RFC 9112 section 3.2)
    "two Hosts": b"GET / HTTP/1.1\r\n" + HOST + b"Host: b.test\r\n\r\n",
    "two Hosts that are equal": b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "a list of hosts": b"GET / HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n",
    "a Host with a user": b"GET / HTTP/1.1\r\nHost: b.test@a.test\r\n\r\n",
    "a Host with a path": b"GET / HTTP/1.1\r\nHost: a.test/b.test\r\n\r\n",
    "a Host with bad UTF-8": b"GET / HTTP/1.1\r\nHost: a\xff.test\r\n\r\n",
    "a Host with a port that is none": b"GET / HTTP/1.1\r\nHost: a.test:80b.test\r\n\r\n",
    "an absolute form without a host": b"GET http:///hidden HTTP/1.1\r\n" + HOST + b"\r\n",
    "an absolute form with a user": b"GET http://b.test@a.test/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "a fragment": b"GET /#@b.test HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target that is a name": b"GET a.test HTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT": b"CONNECT a.test:80 HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN,
    "TRACE": b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n",
    # Too much of it.
    "a header of 17 KiB": b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 17_408 + b"\r\n\r\n",
    "101 fields": b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 100 + b"\r\n",
}

# Bodies that stream have begun to go on: the application must see that they broke off, and nothing after them.
BROKEN_CHUNKS = {
    "no size": b"\r\nhello\r\n0\r\n\r\n", "a size with a prefix": b"0x5\r\nhello\r\n0\r\n\r\n", "a size with a sign":
        b"+5\r\nhello\r\n0\r\n\r\n",
    "a negative size": b"-5\r\nhello\r\n0\r\n\r\n", "a size with a space before": b" 5\r\nhello\r\n0\r\n\r\n",
    "a size with a space after": b"5 \r\nhello\r\n0\r\n\r\n", "a size that ends in LF": b"5\nhello\r\n0\r\n\r\n",
    "a size that ends in CR": b"5\rhello\r\n0\r\n\r\n", "a size of 2^64 and 5": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "a size of many zeros": b"0" * 20 + b"5\r\nhello\r\n0\r\n\r\n", "a size with a NUL": b"5\0\r\nhello\r\n0\r\n\r\n",
    "a chunk longer than its size": b"4\r\nhello\r\n0\r\n\r\n", "a chunk that ends in LF": b"5\r\nhello\n0\r\n\r\n",
    "an extension with LF": b"5;x\ny\r\nhello\r\n0\r\n\r\n", "an extension with CR": b"5;x\ry\r\nhello\r\n0\r\n\r\n",
    "an extension with a NUL": b"5;x\0\r\nhello\r\n0\r\n\r\n", "a trailer with LF": b"5\r\nhello\r\n0\r\nX: y\nZ: z\r\n\r\n",
    "a trailer with a NUL": b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n", "an end of LF": b"5\r\nhello\r\n0\n\n",
    "a folded trailer": b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n", "a trailer without a colon": b"5\r\nhello\r\n0\r\n" + HIDDEN,
    "a trailer with a space before its colon": b"5\r\nhello\r\n0\r\nContent-Length : 5\r\n\r\n",
    "101 trailers": b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 101 + b"\r\n",
    "extensions of 20 KiB": b"5;" + b"x" * 20_000 + b"\r\nhello\r\n0\r\n\r\n", "trailers of 20 KiB": b"5\r\nhello\r\n0\r\nX: "
        + b"x" * 20_000 + b"\r\n\r\n",
}

# What is passed on, and how it stands there: (request, must be there, must not be there).
PASSED = {
    "a length with leading zeros and spaces around": (POST + b"Content-Length: \t005 \r\n\r\nhello",
        [b"\r\nContent-Length: 5\r\n"], [b"Content-Length: 0"]),
    "a coding in other case, after a tab": (POST + b"transfer-ENCODING:\tChUnKeD\r\n\r\n" + CHUNKS,
        [b"\r\nTransfer-Encoding: chunked\r\n"], []),
    "chunks with extensions and trailers": (POST + CHUNKED + b"\r\n5;a=b\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n", [b"hello", b"X-Trailer: 1"],
        [b"a=b"]),
    "trailers, but those that must not be there": (POST + CHUNKED + b"\r\n5\r\nhello\r\n0\r\nA: 1\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: gzip\r\nHost: b.test\r\nX_Forwarded_For: 1.2.3.4\r\nCookie: a=b\r\nZ: 2\r\n\r\n",
        [b"\r\n0\r\nA: 1\r\nZ: 2\r\n\r\n"], [b"Content-Length", b"gzip", b"b.test", b"1.2.3.4", b"a=b"]),
    "the absolute form, whose host counts": (b"GET http://a.test/x HTTP/1.1\r\nHost: b.test\r\n\r\n",
        [b"GET /x HTTP/1.1\r\nHost: a.test\r\n"],
                                             [b"b.test"]),
    "fields about the connection, and what they name": (
        b"GET / HTTP/1.1\r\n" + HOST
            + b"Connection: close, x-mine, content-length, host, x-forwarded-for\r\nX-Mine: 1\r\nKeep-Alive: 9\r\n"
        b"Proxy-Connection: x\r\nTE: trailers\r\nTrailer: x\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        [b"\r\nHost: a.test\r\n", b"\r\nX-Forwarded-For: 127.0.0.1\r\n", b"\r\nTE: trailers\r\nConnection: TE\r\n"],
        [b"X-Mine", b"Keep-Alive", b"Proxy-Connection", b"Trailer:", b"h2c", b"HTTP2-Settings"]),
    "claims about where a request came from": (
        b"GET / HTTP/1.1\r\n" + HOST
            + b"X-Forwarded-For: 1.2.3.4\r\nX_Forwarded_For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\n"
        b"X-Request-Id: mine\r\n\r\n", [b"\r\nX-Forwarded-For: 127.0.0.1\r\n"], [b"1.2.3.4", b"mine"]),
    "bad UTF-8 in a target and a value": (b"GET /\xff\xc3\x28 HTTP/1.1\r\n" + HOST + b"X: \xff\xc3\x28\r\n\r\n",
        [b"GET /\xff\xc3\x28 HTTP", b"X: \xff\xc3\x28\r\n"], []),
    "a gzip bomb, which nobody unpacks": (POST
        + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(gzip.compress(bytes(10_000_000)))
                                          + gzip.compress(bytes(10_000_000)), [gzip.compress(bytes(10_000_000))[20:]], []),
}

CRLF = b"\r\nevil: 1"
# By HTTP/2: fields of the head; none may reach an application.
HTTP2 = {
    "CR LF in a value": request(more=[(b"x", b"a" + CRLF)]), "LF in a value": request(more=[(b"x", b"a\nevil: 1")]),
    "CR in a value": request(more=[(b"x", b"a\revil: 1")]), "NUL in a value": request(more=[(b"x", b"a\0")]),
    "CR LF in a name": request(more=[(b"x: 1" + CRLF, b"2")]), "a colon in a name": request(more=[(b"evil: 1", b"2")]),
    "a space in a name": request(more=[(b"evil ", b"2")]), "an empty name": request(more=[(b"", b"evil")]),
    "CR LF in :path": request(path=b"/ HTTP/1.1\r\nHost: evil\r\n\r\n"), "a space in :path": request(path=b"/ HTTP/1.1"),
    "an absolute :path": request(path=b"http://b.test/"), "an absolute :path of another scheme": request(path=b"http://b.test/",
        scheme=b"evil"),
    "CR LF in :authority": request(authority=b"a.test" + CRLF), "a user in :authority": request(authority=b"b.test@a.test"),
    "CR LF in :method": request(method=b"GET / HTTP/1.1" + CRLF), "a space in :method": request(method=b"GET /hidden"),
    "CR LF in :scheme": request(scheme=b"https" + CRLF), "CR LF in a cookie": request(more=[(b"cookie", b"a=b" + CRLF)]),
    "H2.TE: transfer-encoding": request(b"POST", more=[(b"transfer-encoding", b"chunked")]),
    "H2.CL: two lengths": request(b"POST", more=[(b"content-length", b"5"), (b"content-length", b"0")]),
    "H2.CL: a length with a sign": request(b"POST", more=[(b"content-length", b"+5")]),
    "H2.CL: a list of lengths": request(b"POST", more=[(b"content-length", b"5, 5")]),
    "two hosts": request(more=[(b"host", b"a.test"), (b"host", b"b.test")]), "another :path after the first":
        request(more=[(b":path", b"/hidden")]),
    "connection": request(more=[(b"connection", b"close")]), "upgrade": request(more=[(b"upgrade", b"h2c")]),
    "a field with capitals": request(more=[(b"Content-Length", b"5")]),
}

OK = b"HTTP/1.1 200 OK\r\n"
# Answers of an application that mean two things; True: the visitor gets a whole answer with status 200 all the same.
ANSWERS = {
    "two lengths that differ": (OK + b"Content-Length: 2\r\nContent-Length: 20\r\n\r\nhi", False),
    "a length and chunks": (OK + b"Content-Length: 2\r\n" + CHUNKED + b"\r\n" + CHUNKS, False),
    "a length with a sign": (OK + b"Content-Length: +2\r\n\r\nhi", False),
    "a coding that is not known": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS, False),
    "a bare line feed": (b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nhi", False),
    "a carriage return in a value": (OK + b"X: a\rSet-Cookie: b\r\nContent-Length: 2\r\n\r\nhi", False),
    "a NUL in a value": (OK + b"X: a\0\r\nContent-Length: 2\r\n\r\nhi", False),
    "a folded line": (OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\nhi", False),
    "a space before a colon": (OK + b"Content-Length : 2\r\n\r\nhi", False),
    "a status of two digits": (b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nhi", False),
    "a status of four digits": (b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nhi", False),
    "HTTP/2.0": (b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", False),
    "100 with a body": (b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello" + OK + b"Content-Length: 2\r\n\r\nhi", False),
    "101 that nobody asked for": (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", False),
    "broken chunks": (OK + CHUNKED + b"\r\n5\r\nhelloX\r\n0\r\n\r\n", False),
    "a header of 17 KiB": (OK + b"X: " + b"x" * 17_408 + b"\r\nContent-Length: 2\r\n\r\nhi", False),
    "informational answers without end": (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000, False),
    "an answer to the next request already": (OK + b"Content-Length: 2\r\n\r\nhi" + OK + b"Content-Length: 6\r\n\r\npoison", True),
    "a body after 204": (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n" + OK + b"Content-Length: 6\r\n\r\npoison", True),
    "a body after 304": (b"HTTP/1.1 304 Not Modified\r\n\r\n" + OK + b"Content-Length: 6\r\n\r\npoison", True),
    "more body than its length": (OK + b"Content-Length: 2\r\n\r\nhi" + OK + b"poison", True),
}


class Recorder(App):
    """Answers with the request's target; /answer/N with the N-th of ANSWERS. An answer of its own is given at once, so that a body
    which is still coming meets one."""

    def __init__(self):
        super().__init__(self._answer)

    @staticmethod
    def _answer(request_bytes):
        target = request_bytes.split(b" ", 2)[1]
        if target.startswith(b"/answer/"):
            return list(ANSWERS.values())[int(target.split(b"/")[2])][0]
        return OK + b"Content-Length: %d\r\n\r\n" % len(target) + target

    def everything(self):
        """All bytes that came since the last call."""
        with self.lock:
            parts, self.requests, self.left_over = self.requests + self.left_over, [], []
            return b"".join(parts)


def is_served(proxy, mark):
    """Another visitor gets the answer to his own request."""
    with proxy.client() as peer:
        peer.sendall(b"GET /" + mark + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        return read_message(peer).endswith(b"\r\n\r\n/" + mark)


def check_requests(proxy, app):
    wrong = []
    for name, sent in REFUSED.items():
        answer = proxy.talk(sent)
        reached = app.everything()
        first = status_of(answer)
        if not 400 <= first < 600 or len(ANSWER.findall(answer)) != 1 or reached:
            wrong.append(f"{name}: answered {answer[:120]!r}, the application got {reached[:200]!r}")
    if not is_served(proxy, b"after"):
        wrong.append("afterwards nobody is served")
    app.everything()
    return wrong


def check_chunks(proxy, app):
    wrong = []
    for name, body in BROKEN_CHUNKS.items():
        answer = proxy.talk(POST + CHUNKED + b"\r\n" + body + HIDDEN)
        if not 400 <= status_of(answer) < 600 or len(ANSWER.findall(answer)) != 1:
            wrong.append(f"{name}: answered {answer[:120]!r}")
        if not is_served(proxy, b"after"):
            wrong.append(f"{name}: afterwards nobody is served")
    # Those on which a body broke off have come and ended when only kept ones are left, one of each worker.
    if not eventually(lambda: app.accepted == proxy.metric("backend_connects_total") and app.open <= 2):
        wrong.append(f"{app.open} connections to the application stay open")
    whole = [got for got in app.taken() if not got.startswith(b"GET /after ")]
    reached = app.everything()
    if whole or b"hidden" in reached or b"\r\n0\r\n\r\n" in reached:
        wrong.append(f"the application got {whole}, and {reached!r}")
    return wrong


def check_passed(proxy, app):
    wrong = []
    for name, (sent, there, absent) in PASSED.items():
        app.everything()
        with proxy.client() as peer:
            peer.sendall(sent)
            answer = read_message(peer)
        got = app.everything()
        missing = [part for part in there if part not in got]
        besides = [part for part in absent if part in got]
        if status_of(answer) != 200 or missing or besides or whole_message(got) != len(got):
            wrong.append(f"{name}: missing {missing!r:.200}, besides {besides}, in {got[:600]!r}, answered {answer[:100]!r}")
    return wrong


def check_http2(proxy, app):
    wrong = []
    for name, fields in HTTP2.items():
        with proxy.tls_client() as peer:
            client = Client(peer)
            client.send(headers(1, fields))
            client.until(lambda: client.is_done(1) or client.goaway() is not None)
            reached = app.everything()
            if client.status(1) == 200 or reached:
                wrong.append(f"{name}: answered {client.status(1)}, the application got {reached!r}")
    # A body and a length that differ: the application must not get a request that looks whole.
    for name, length, body in (("less body than its length", b"50", b"hello"), ("more body than its length", b"2", b"hello"
        + HIDDEN)):
        with proxy.tls_client() as peer:
            client = Client(peer)
            client.send(headers(1, request(b"POST", more=[(b"content-length", length)]), END_HEADERS) + frame(DATA, END_STREAM, 1,
                body))
            client.until(lambda: client.is_done(1) or client.goaway() is not None)
            reached = app.everything()
            if client.status(1) == 200 or b"hidden" in reached or whole_message(reached):
                wrong.append(f"H2.CL, {name}: answered {client.status(1)}, the application got {reached!r}")
    with proxy.tls_client() as peer:
        client = Client(peer)
        trailers = frame(HEADERS, END_HEADERS | END_STREAM, 1, block([(b"transfer-encoding", b"chunked"), (b"content-length",
            b"0")]))
        client.send(headers(1, request(b"POST"), END_HEADERS) + frame(DATA, 0, 1, b"0\r\n\r\n" + HIDDEN) + trailers)
        client.until(lambda: client.is_done(1) or client.goaway() is not None)
    reached = app.everything()
    if client.status(1) == 200 or whole_message(reached):
        wrong.append(f"trailers about the framing: answered {client.status(1)}, the application got {reached!r}")
    if not is_served(proxy, b"after"):
        wrong.append("afterwards nobody is served")
    app.everything()
    return wrong


def check_answers(proxy, app):
    wrong = []
    for number, (name, (_, passes)) in enumerate(ANSWERS.items()):
        with proxy.client() as peer:
            peer.sendall(b"GET /answer/%d HTTP/1.1\r\n" % number + HOST + b"\r\nGET /next HTTP/1.1\r\n" + HOST
                + b"Connection: close\r\n\r\n")
            came = read_to_end(peer)
        final = came
        while status_of(final) == 103 or status_of(final) == 100:
            final = final.split(b"\r\n\r\n", 1)[-1]
        status = status_of(final)
        right = status in (200, 204, 304) if passes else status == 502 or (status == 200 and b"\r\n0\r\n\r\n" not in final)
        if not right or b"poison" in came or (passes and not came.endswith(b"/next")):
            wrong.append(f"{name}: came {came[:300]!r}")
        for visitor in range(3):
            if not is_served(proxy, b"own-%d" % visitor):
                wrong.append(f"{name}: another visitor gets what is not his")
    app.everything()
    return wrong


def check_early_answers():
    """An application that answers before the body has come: what is left of the body is no request."""
    wrong = []
    seen = []
    lock = threading.Lock()

    def early(head):
        with lock:
            seen.append(head)
        return OK + b"Content-Length: 5\r\n\r\nearly"

    app = App(lambda _: b"", early=early)
    with Proxy([route("a.test", app)]) as proxy:
        for method in (b"POST", b"PUT"):
            with proxy.client() as peer:
                peer.sendall(method + b" / HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n" + b"x" * 1000)
                first = read_message(peer)
                try:
                    peer.sendall(HIDDEN * 1000)
                except OSError:
                    pass
                rest = read_to_end(peer)
            if status_of(first) != 200 or b"HTTP/1.1" in rest:
                wrong.append(f"{method.decode()}: came {first!r}, then {rest[:100]!r}")
            with proxy.client() as peer:
                peer.sendall(b"GET /own HTTP/1.1\r\n" + HOST + b"\r\n")
                if not read_message(peer).endswith(b"early"):
                    wrong.append(f"{method.decode()}: another visitor is not served")
    app.stop()
    # Each head that the application has heard is one that a visitor sent as a request.
    wrong += [f"the application heard {head[:80]!r}" for head in seen if b"hidden" in head]
    return wrong


def check_failed_upgrade():
    """Who asks for WebSocket and does not get it has no tunnel: what he says next is a request, with a host of its own."""
    app = App(lambda request_bytes: b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n" if b"Upgrade" in request_bytes
              else OK + b"Content-Length: 6\r\n\r\nserved")
    with Proxy([route("a.test", app)]) as proxy:
        came = proxy.talk(b"GET /ws HTTP/1.1\r\n" + HOST
            + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 7\r\n\r\n"
                          b"GET /hidden HTTP/1.1\r\nHost: nobody.test\r\nConnection: close\r\n\r\n")
        got = app.taken()
    app.stop()
    right = came.startswith(b"HTTP/1.1 426 ") and b"HTTP/1.1 404 " in came and len(got) == 1
    return [] if right else [f"came {came!r}, the application got {got!r}"]


def check_log(proxy, log):
    """What visitors wrote is in the log as text, whatever bytes it was."""
    proxy.talk(b"GET /\xff\x80\"%0d%0a HTTP/1.1\r\n" + HOST + b"User-Agent: \xc3\x28\"}\r\nConnection: close\r\n\r\n")
    eventually(lambda: log.exists() and b"%0d%0a" in log.read_bytes())
    try:
        lines = log.read_text(encoding="utf-8").splitlines()
        return [] if lines and all(isinstance(json.loads(line), dict) for line in lines) else ["the log is empty"]
    except ValueError as error:
        return [f"a line of the log is no JSON in UTF-8: {error}"]


def one_round(tap):
    app = Recorder()
    log = pathlib.Path(f"/tmp/karreg-smuggling-{os.getpid()}.log")
    with Proxy([route("a.test", app)], ACCESS_LOG=log) as proxy:
        def told(sentence, wrong):
            tap.check(sentence, not wrong and proxy.is_alive(), "\n".join(wrong))
        told(f"{len(REFUSED)} requests of two meanings are refused, and nothing of them goes on", check_requests(proxy, app))
        told(f"{len(BROKEN_CHUNKS)} bodies of broken chunks never look whole to the application", check_chunks(proxy, app))
        told(f"{len(PASSED)} requests are passed on in words of the proxy's own", check_passed(proxy, app))
        told(f"{len(HTTP2) + 3} requests by HTTP/2 that HTTP/1.1 would read as others reach nobody", check_http2(proxy, app))
        told(f"{len(ANSWERS)} answers of two meanings reach no visitor, least of all another one", check_answers(proxy, app))
        told("an answer before the body is through leaves no half request behind", check_early_answers())
        told("a visitor who is refused a WebSocket has no tunnel", check_failed_upgrade())
        told("the access log stays JSON in UTF-8, whatever bytes a visitor sends", check_log(proxy, log))
    log.unlink(missing_ok=True)
    app.stop()


def main():
    tap = Tap()
    for _ in range(max(1, int(os.environ.get("KARREG_TEST_ROUNDS") or 1))):
        one_round(tap)
    return tap.code()


if __name__ == "__main__":
    sys.exit(main())
