#!/usr/bin/python3
"""HTTP/1.1 as a server must speak it: the checks of h1spec (uNetworking/h1spec) in our own words, and some of the same kind, against
a running karreg-proxy with an application that mirrors what it gets. Prints TAP.

Each row: what is sent, which statuses are right, and the body that comes back. Where a row of h1spec leaves a choice, ours is the one
that RFC 9112 and RFC 9110 recommend.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from proxy_process import App, Proxy, read_message, route, status_of, whole_message  # noqa: E402
from tap import Tap  # noqa: E402

HOST = b"Host: a.test\r\n"
WHOLE = b"GET /hello HTTP/1.1\r\nHost: a.test\r\n\r\n"

# What is waited for: after each of these beginnings of WHOLE there is no answer yet, and the rest gets one.
BEGINNINGS = {
    "a method's first letter": b"G", "a method": b"GET ", "half a target": b"GET /hel", "a target": b"GET /hello ",
    "half a version": b"GET /hello HTTP", "a version": b"GET /hello HTTP/1.1", "half the end of a request line":
        b"GET /hello HTTP/1.1\r",
    "a request line": b"GET /hello HTTP/1.1\r\n", "half a field's name": b"GET /hello HTTP/1.1\r\nHos",
    "a field's name": b"GET /hello HTTP/1.1\r\nHost:", "a field's name and a space": b"GET /hello HTTP/1.1\r\nHost: ",
    "a field's value": b"GET /hello HTTP/1.1\r\nHost: a.test", "half the end of a field": b"GET /hello HTTP/1.1\r\nHost: a.test\r",
    "a field": b"GET /hello HTTP/1.1\r\nHost: a.test\r\n", "half the end of a head": b"GET /hello HTTP/1.1\r\nHost: a.test\r\n\r",
}

# name: (request, right statuses, body that the application must have got or None)
MESSAGES = {
    "a GET": (b"GET / HTTP/1.1\r\n" + HOST + b"\r\n", [200], b""),
    "names in any case, tabs before values, values that are empty": (
        b"GET / HTTP/1.1\r\nhoSt:\ta.test\r\nempty:\r\nX-Empty: \r\n\r\n", [200], b""),
    "spaces and tabs after a value": (b"GET / HTTP/1.1\r\nHost: a.test \t\r\n\r\n", [200], b""),
    "an empty line before the request": (b"\r\n\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n", [200], b""),
    "the absolute form, whose host counts": (b"GET http://a.test/x HTTP/1.1\r\nHost: nobody.test\r\n\r\n", [200], b""),
    "OPTIONS of the whole server": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", [200], b""),
    "a method of the application's own": (b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n", [200], b""),
    "HTTP/1.0 with a Host": (b"GET / HTTP/1.0\r\n" + HOST + b"\r\n", [200], b""),
    "a body by its length": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello", [200], b"hello"),
    "a body in one chunk": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nc\r\nHellO world1\r\n0\r\n\r\n", [200],
            b"HellO world1"),
    "chunks with extensions, leading zeros, capitals, and trailers": (
        b"POST / HTTP/1.1\r\n" + HOST
            + b"TransFer-Encoding: Chunked\r\n\r\n00A;a=b;c=\"d\"\r\n0123456789\r\n1\r\nx\r\n000\r\nT: 1\r\n\r\n",
        [200], b"0123456789x"),
    "an expectation that is not known, which the application may": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Expect: a-miracle\r\nContent-Length: 2\r\n\r\nhi", [200], b"hi"),
    "no HTTP version": (b"GET / \r\n\r\n", [400], None),
    "a version that nobody speaks": (b"GET / HTTP/9.9\r\n" + HOST + b"\r\n", [505], None),
    "a version of lower case": (b"GET / http/1.1\r\n" + HOST + b"\r\n", [400], None),
    "something before the request line": (b"Extra lineGET / HTTP/1.1\r\n" + HOST + b"\r\n", [400], None),
    "two spaces in the request line": (b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", [400], None),
    "a tab for a space": (b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n", [400], None),
    "a space before a field's colon": (b"GET / HTTP/1.1\r\nHost : a.test\r\n\r\n", [400], None),
    "a field's name with brackets": (b"GET / HTTP/1.1\r\n" + HOST + b"X-Invalid[]: test\r\n\r\n", [400], None),
    "a field's value with a control character": (b"GET / HTTP/1.1\r\n" + HOST + b"X: test\x07\r\n\r\n", [400], None),
    "a field over two lines": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n", [400], None),
    "a line that ends in CR alone": (b"GET / HTTP/1.1\r\n" + HOST + b"\rSome-Header: Test\r\n\r\n", [400], None),
    "lines that end in LF alone": (b"GET / HTTP/1.1\nHost: a.test\n\n", [400], None),
    "no Host": (b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", [400], None),
    "two Hosts": (b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", [400], None),
    "a Host with a path": (b"GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n", [400], None),
    "CONNECT": (b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", [405], None),
    "a length that is negative": (b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: -1234\r\n\r\n", [400], None),
    "a length that is negative and overflows": (
        b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: -123456789123456789123456789\r\n\r\n", [400], None),
    "a length that overflows": (b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 18446744073709551617\r\n\r\n", [400], None),
    "a length of letters": (b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: abc\r\n\r\n", [400], None),
    "a length and chunks": (
        b"POST / HTTP/1.1\r\n" + HOST + b"content-LengtH: 5\r\nTransFer-Encoding: chunked\r\n\r\nc\r\nHellO world1\r\n0\r\n\r\n",
            [400], None),
    "a coding that is not known": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n", [501], None),
}


def body_of(message):
    return message.split(b"\r\n\r\n", 1)[-1]


def unchunked(body):
    """The payload of a body as the proxy sends it, chunked or not."""
    out = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        out, body = out + rest[:int(size, 16)], rest[int(size, 16) + 2:]
        if int(size, 16) == 0:
            break
    return out


def mirror(request):
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(request)
    return whole if request.startswith(b"HEAD ") else whole + request


def welcome(head):
    return b"HTTP/1.1 100 Continue\r\n\r\n" if b"\r\nExpect: 100-continue\r\n" in head else None


def check_beginnings(tap, proxy):
    for name, begin in BEGINNINGS.items():
        with proxy.client() as peer:
            peer.sendall(begin)
            peer.settimeout(0.15)  # Longer than an answer takes.
            try:
                early = peer.recv(4096)
            except TimeoutError:
                early = None
            peer.settimeout(10)
            peer.sendall(WHOLE[len(begin):])
            answer = read_message(peer)
        tap.check(f"after {name} the rest is waited for", early is None and status_of(answer) == 200, early, answer)


def check_messages(tap, proxy, app):
    for name, (request, statuses, body) in MESSAGES.items():
        app.taken()
        with proxy.client() as peer:
            peer.sendall(request)
            answer = read_message(peer)
            refused = body is None
            # After what could be misread nothing else is taken from the connection.
            goes_on = not refused and (b" HTTP/1.0\r\n" in request or b"\r\nConnection: close\r\n" not in answer)
            closed = refused and b"\r\nconnection: close\r\n" in answer.lower() and peer.recv(1) == b""
        got = app.taken()
        if refused:
            tap.check(f"{name}: {statuses[0]}, and the connection ends", status_of(answer) in statuses and closed and not got,
                answer, got)
            continue
        mirrored = body_of(got[0]) if got else b""
        if got and b"\r\nTransfer-Encoding: chunked\r\n" in got[0]:
            mirrored = unchunked(mirrored)
        tap.check(f"{name}: {statuses[0]}, as it was sent", status_of(answer) in statuses and goes_on and mirrored == body
                  and len(got) == 1, answer, got)


def check_conversation(tap, proxy):
    with proxy.client() as peer:
        peer.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: a.test\r\n\r\n" % i for i in range(20)))
        data, order = b"", []
        while len(order) < 20:
            size = whole_message(data)
            if size is None:
                more = peer.recv(65536)
                if not more:
                    break
                data += more
                continue
            order.append(body_of(data[:size]).split(b" ")[1])
            data = data[size:]
    tap.check("requests sent together are answered in their order", order == [b"/%d" % i for i in range(20)], order)

    with proxy.client() as peer:
        peer.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        first = peer.recv(4096)
        peer.sendall(b"hello")
        answer = read_message(peer, first.split(b"\r\n\r\n", 1)[-1])
    tap.check("a client that waits for 100 Continue gets it, then its answer",
              first.startswith(b"HTTP/1.1 100 ") and status_of(answer) == 200 and answer.endswith(b"hello"), first, answer)

    with proxy.client() as peer:
        peer.sendall(b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n" + WHOLE)
        data = b""
        while data.count(b"HTTP/1.1 200 OK\r\n") < 2:
            more = peer.recv(65536)
            if not more:
                break
            data += more
        heads = data.split(b"\r\n\r\n", 1)
    tap.check("an answer to HEAD says its length and has no body",
              b"\r\nContent-Length: " in heads[0] and len(heads) > 1 and heads[1].startswith(b"HTTP/1.1 200 "), data)

    for version, field, stays in ((b"1.1", b"", True), (b"1.1", b"Connection: close\r\n", False), (b"1.0", b"", False),
                                  (b"1.0", b"Connection: keep-alive\r\n", True), (b"1.1", b"Connection: x, CLOSE\r\n", False)):
        with proxy.client() as peer:
            peer.sendall(b"GET / HTTP/" + version + b"\r\n" + HOST + field + b"\r\n")
            answer = read_message(peer)
            if stays:
                peer.sendall(WHOLE)
                after = status_of(read_message(peer)) == 200
            else:
                after = peer.recv(1) == b""
        said = field.decode().strip() or "no Connection field"
        tap.check(f"HTTP/{version.decode()} with {said}: the connection {'stays' if stays else 'ends'}",
                  status_of(answer) == 200 and after, answer)


def check_answers(tap):
    """Answers of an application, by the path that asks for them: what the client gets of each."""
    answers = {
        "/204": (b"HTTP/1.1 204 No Content\r\n\r\n", lambda a: status_of(a) == 204 and b"ontent-length" not in a.lower()),
        "/304": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n", lambda a: status_of(a) == 304
            and b"Content-Length: 77" in a),
        "/chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhi\r\n0\r\nT: 1\r\n\r\n",
                    lambda a: unchunked(body_of(a)) == b"hi" and b"T: 1" not in a),
        "/103": (b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
                 lambda a: a.startswith(b"HTTP/1.1 103 ") and b"HTTP/1.1 200 " in a and a.endswith(b"hi")),
        "/hop": (b"HTTP/1.1 200 OK\r\nConnection: X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nContent-Length: 0\r\n\r\n",
                 lambda a: status_of(a) == 200 and b"X-Mine" not in a and b"Keep-Alive: 5" not in a),
    }
    app = App(lambda request: answers[request.split(b" ")[1].decode()][0])
    with Proxy([route("a.test", app)]) as proxy:
        for path, (_, right) in answers.items():
            with proxy.client() as peer:
                peer.sendall(b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n")
                answer = read_message(peer, count=2 if path == "/103" else 1)
                # The connection is where it was: the next answer is the next one.
                peer.sendall(b"GET /204 HTTP/1.1\r\n" + HOST + b"\r\n")
                after = status_of(read_message(peer)) == 204
            tap.check(f"the answer of {path} goes through as it must", right(answer) and after, answer)
    app.stop()


def main():
    tap = Tap()
    app = App(mirror, early=welcome)
    with Proxy([route("a.test", app)]) as proxy:
        check_beginnings(tap, proxy)
        check_messages(tap, proxy, app)
        check_conversation(tap, proxy)
        tap.check("the proxy lives on", proxy.is_alive())
    app.stop()
    check_answers(tap)
    return tap.code()


if __name__ == "__main__":
    sys.exit(main())
