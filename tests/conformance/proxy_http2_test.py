#!/usr/bin/python3
"""HTTP/2 as a server must speak it: the checks of h2spec (summerwind/h2spec) in our own words, by the sections of RFC 9113 and
RFC 7541, against a running karreg-proxy. Prints TAP.

Each row of the tables: what a client sends after the greeting, and what must come of it.

  Fine(n)          stream n is answered 200, and the connection lives on
  Stream(errors)   stream 1 is reset with one of these errors; or, where it never became a request, answered 400 (RFC 9113 section
                   8.1.1); or the connection ends with one of them, which the RFC leaves to the server (section 5.4.2)
  Connection(errors)   the connection ends with GOAWAY and one of these errors
"""
import dataclasses
import pathlib
import struct
import sys
import typing

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from http2_wire import *  # noqa: E402, F403
from proxy_process import App, Proxy, route  # noqa: E402
from tap import Tap  # noqa: E402

WHOLE = END_HEADERS | END_STREAM
POST = request(b"POST")
LARGE = b"x" * 20_000


@dataclasses.dataclass
class Fine:
    stream: int = 1

    def holds(self, client):
        client.until(lambda: client.is_done(self.stream))
        return client.status(self.stream) == 200 and client.reset(self.stream) in (None, NO_ERROR) and client.ping()


@dataclasses.dataclass
class Stream:
    errors: tuple
    refused: bool = False  # 400 is right, too
    stream: int = 1

    def holds(self, client):
        client.until(lambda: client.reset(self.stream) is not None or client.goaway() is not None or client.status(self.stream))
        if self.refused and client.status(self.stream) == 400:
            return client.ping()
        client.until(lambda: client.reset(self.stream) is not None or client.goaway() is not None)
        reset = client.reset(self.stream)
        return client.ping() if reset in self.errors else client.goaway() in self.errors


@dataclasses.dataclass
class Connection:
    errors: tuple

    def holds(self, client):
        client.until(lambda: client.ended)
        return client.ended and client.goaway() in self.errors


@dataclasses.dataclass
class Ignored:
    """Stream 1 gets no answer, stream 3 does. The RFC has the connection end here; nghttp2, which keeps no memory of streams that have
    closed, cannot tell such a frame from one that was on its way when the server reset its stream, which must not end it."""

    def holds(self, client):
        return Fine(3).holds(client) and not client.status(1)


@dataclasses.dataclass
class Is:
    """What no other outcome says: a function of the client."""
    holds: typing.Callable


def part(flags=0, stream=1, data=b""):
    return frame(CONTINUATION, flags, stream, data)


def open_stream(stream=1):
    """A request whose body is still to come."""
    return headers(stream, POST, END_HEADERS)


def closed_by_us(stream=1):
    return open_stream(stream) + rst_stream(stream)


def pad(payload, size):
    return bytes((size,)) + payload + b"\0" * size


def with_dependency(on, stream=1):
    return frame(HEADERS, WHOLE | WITH_PRIORITY, stream, struct.pack(">IB", on, 15) + block(request()))


def many_streams(count):
    return b"".join(open_stream(1 + 2 * i) for i in range(count))


BLOCK = block(request())
HALF = frame(HEADERS, END_STREAM, 1, BLOCK[:10])
UNKNOWN = 0x16

ROWS = [
    # RFC 9113 section 4: frames
    ("4.1 a frame of an unknown type is ignored", frame(UNKNOWN, 0xFF, 0, b"12345678") + headers(1), Fine()),
    ("4.1 a flag that is not defined is ignored", headers(1, flags=WHOLE | 0x50), Fine()),
    ("4.1 the reserved bit of a stream's number is ignored", frame(HEADERS, WHOLE, 1 | 1 << 31, BLOCK), Fine()),
    ("4.2 a DATA frame of 2^14 bytes is taken", open_stream() + frame(DATA, END_STREAM, 1, b"x" * 16384), Fine()),
    ("4.2 a larger DATA frame ends the connection", open_stream() + frame(DATA, END_STREAM, 1, LARGE),
     Connection((FRAME_SIZE_ERROR,))),
    ("4.2 a larger HEADERS frame ends the connection", headers(1, request(more=[(b"x", LARGE)])), Connection((FRAME_SIZE_ERROR,))),
    ("4.3 a head that is no HPACK ends the connection", frame(HEADERS, WHOLE, 1, b"\x40"), Connection((COMPRESSION_ERROR,))),
    ("4.3 PRIORITY within a head ends the connection", HALF + priority(0, 1) + part(END_HEADERS, 1, BLOCK[10:]),
     Connection((PROTOCOL_ERROR,))),
    ("4.3 another stream's HEADERS within a head ends the connection", HALF + headers(3), Connection((PROTOCOL_ERROR,))),
    # section 5.1: states of a stream
    ("5.1 DATA on an idle stream ends the connection", frame(DATA, END_STREAM, 1, b"test"), Connection((PROTOCOL_ERROR,))),
    ("5.1 RST_STREAM on an idle stream ends the connection", rst_stream(1), Connection((PROTOCOL_ERROR,))),
    ("5.1 WINDOW_UPDATE on an idle stream ends the connection", window_update(1, 100), Connection((PROTOCOL_ERROR,))),
    ("5.1 CONTINUATION on an idle stream ends the connection", part(END_HEADERS, 1, BLOCK), Connection((PROTOCOL_ERROR,))),
    ("5.1 DATA after the stream's end resets it", headers(1) + frame(DATA, END_STREAM, 1, b"test"), Stream((STREAM_CLOSED,))),
    ("5.1 HEADERS after the stream's end reset it", headers(1) + headers(1), Stream((STREAM_CLOSED,))),
    ("5.1 CONTINUATION after the stream's end ends the connection", headers(1) + part(END_HEADERS, 1, BLOCK),
     Connection((STREAM_CLOSED, PROTOCOL_ERROR))),
    ("5.1 DATA after the client's RST_STREAM brings nobody an answer", closed_by_us() + frame(DATA, END_STREAM, 1, b"test")
     + headers(3),
     Is(lambda c: Fine(3).holds(c) and not c.status(1) or c.goaway() == STREAM_CLOSED)),
    ("5.1 HEADERS after the client's RST_STREAM begin no request", closed_by_us() + headers(1) + headers(3), Ignored()),
    ("5.1 CONTINUATION after the client's RST_STREAM ends the connection", closed_by_us() + part(END_HEADERS, 1, BLOCK),
     Connection((STREAM_CLOSED, PROTOCOL_ERROR))),
    ("5.1.1 a stream of even number ends the connection", headers(2), Connection((PROTOCOL_ERROR,))),
    ("5.1.1 a number lower than the last one begins no request", headers(3) + headers(1), Ignored()),
    ("5.3.1 a stream that depends on itself harms nobody", with_dependency(1),
     Is(lambda c: Fine().holds(c) or c.reset(1) == PROTOCOL_ERROR or c.goaway() == PROTOCOL_ERROR)),
    ("5.3.1 PRIORITY of a stream on itself harms nobody", priority(1) + headers(1),
     Is(lambda c: Fine().holds(c) or c.reset(1) == PROTOCOL_ERROR or c.goaway() == PROTOCOL_ERROR)),
    ("5.4.1 a connection error is said by GOAWAY, and the connection closed", frame(PING, 0, 0, b"12345"),
     Connection((FRAME_SIZE_ERROR,))),
    ("5.5 a frame of an extension is ignored", frame(UNKNOWN, 0, 0, b"x" * 8) + headers(1), Fine()),
    ("5.5 a frame of an extension within a head ends the connection", HALF + frame(UNKNOWN, 0, 0, b"x" * 8),
     Connection((PROTOCOL_ERROR,))),
    # section 6: frames by type
    ("6.1 DATA with stream 0 ends the connection", open_stream() + frame(DATA, END_STREAM, 0, b"test"),
     Connection((PROTOCOL_ERROR,))),
    ("6.1 DATA with padding is taken", open_stream() + frame(DATA, END_STREAM | PADDED, 1, pad(b"test", 10)), Fine()),
    ("6.1 padding longer than its DATA ends the connection", open_stream() + frame(DATA, END_STREAM | PADDED, 1, b"\x06test"),
     Connection((PROTOCOL_ERROR,))),
    ("6.2 HEADERS with padding are taken", frame(HEADERS, WHOLE | PADDED, 1, pad(BLOCK, 20)), Fine()),
    ("6.2 HEADERS with a priority are taken", with_dependency(0), Fine()),
    ("6.2 HEADERS with stream 0 end the connection", headers(0), Connection((PROTOCOL_ERROR,))),
    ("6.2 padding longer than its HEADERS ends the connection", frame(HEADERS, WHOLE | PADDED, 1, b"\xff" + BLOCK),
     Connection((PROTOCOL_ERROR,))),
    ("6.3 PRIORITY is taken in any state", priority(0) + priority(9, 7, 1 << 31) + headers(1) + priority(3), Fine()),
    ("6.3 PRIORITY for a higher stream does not close lower ones", priority(0, 9) + headers(3), Fine(3)),
    ("6.3 PRIORITY with stream 0 is ignored as all priorities are (RFC 9218 section 2.1)", priority(1, 0) + headers(3), Ignored()),
    ("6.3 PRIORITY of the wrong length is an error of its stream or connection", open_stream() + frame(PRIORITY, 0, 1,
     b"\x80\0\0\x01"),
     Stream((FRAME_SIZE_ERROR,))),
    ("6.4 RST_STREAM ends its stream only", open_stream() + rst_stream(1) + headers(3), Fine(3)),
    ("6.4 RST_STREAM with stream 0 ends the connection", rst_stream(0), Connection((PROTOCOL_ERROR,))),
    ("6.4 RST_STREAM of the wrong length ends the connection", open_stream() + frame(RST_STREAM, 0, 1, b"\0\0\0"),
     Connection((FRAME_SIZE_ERROR,))),
    ("6.5 an acknowledgement of SETTINGS with a payload ends the connection", frame(SETTINGS, ACK, 0, b"\0"),
     Connection((FRAME_SIZE_ERROR,))),
    ("6.5 SETTINGS with a stream end the connection", settings((MAX_CONCURRENT_STREAMS, 9), stream=1),
     Connection((PROTOCOL_ERROR,))),
    ("6.5 SETTINGS of a length that is no multiple of 6 end the connection", frame(SETTINGS, 0, 0, b"\0\x03\0"),
     Connection((FRAME_SIZE_ERROR,))),
    ("6.5.2 ENABLE_PUSH must be 0 or 1", settings((ENABLE_PUSH, 2)), Connection((PROTOCOL_ERROR,))),
    ("6.5.2 INITIAL_WINDOW_SIZE must be below 2^31", settings((INITIAL_WINDOW_SIZE, 1 << 31)), Connection((FLOW_CONTROL_ERROR,))),
    ("6.5.2 MAX_FRAME_SIZE must not be below 2^14", settings((MAX_FRAME_SIZE, 16383)), Connection((PROTOCOL_ERROR,))),
    ("6.5.2 MAX_FRAME_SIZE must be below 2^24", settings((MAX_FRAME_SIZE, 1 << 24)), Connection((PROTOCOL_ERROR,))),
    ("6.5.2 a setting that is not known is ignored", settings((0xFF, 1)) + headers(1), Fine()),
    ("6.5.3 the last of two values counts", settings((INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)) + headers(1),
     Is(lambda c: c.until(lambda: 1 in c.bodies) and len(c.bodies[1]) == 1 and c.ping() and len(c.bodies[1]) == 1)),
    ("6.5.3 SETTINGS are acknowledged", settings((MAX_CONCURRENT_STREAMS, 9)),
     Is(lambda c: c.until(lambda: sum(f.kind == SETTINGS and f.flags == ACK for f in c.frames) == 2))),
    ("6.6 PUSH_PROMISE from a client ends the connection", frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + BLOCK),
     Connection((PROTOCOL_ERROR,))),
    ("6.7 PING is answered with its payload", b"", Is(lambda c: c.ping())),
    ("6.7 an answer to PING is not answered", frame(PING, ACK, 0, b"unasked.") + frame(PING, 0, 0, b"inquiry."),
     Is(lambda c: c.until(lambda: any(f.kind == PING for f in c.frames)) and [f.payload for f in c.frames
         if f.kind == PING] == [b"inquiry."])),
    ("6.7 PING with a stream ends the connection", frame(PING, 0, 1, b"12345678"), Connection((PROTOCOL_ERROR,))),
    ("6.7 PING of the wrong length ends the connection", frame(PING, 0, 0, b"1234567"), Connection((FRAME_SIZE_ERROR,))),
    ("6.8 GOAWAY with a stream ends the connection", frame(GOAWAY, 0, 1, b"\0" * 8), Connection((PROTOCOL_ERROR,))),
    ("6.8 requests from before a client's GOAWAY are answered", headers(1) + frame(GOAWAY, 0, 0, b"\0" * 8),
     Is(lambda c: c.until(lambda: c.is_done(1)) and c.status(1) == 200)),
    ("6.9 WINDOW_UPDATE by 0 ends the connection", window_update(0, 0), Connection((PROTOCOL_ERROR,))),
    ("6.9 WINDOW_UPDATE by 0 on a stream resets it", open_stream() + window_update(1, 0), Stream((PROTOCOL_ERROR,))),
    ("6.9 WINDOW_UPDATE of the wrong length ends the connection", frame(WINDOW_UPDATE, 0, 0, b"\0\0\x01"),
     Connection((FRAME_SIZE_ERROR,))),
    ("6.9 WINDOW_UPDATE is taken, also after the stream's end", window_update(0, 1) + headers(1) + window_update(1, 1), Fine()),
    ("6.9.1 no more is sent than the window is wide", settings((INITIAL_WINDOW_SIZE, 1)) + headers(1),
     Is(lambda c: c.until(lambda: 1 in c.bodies) and len(c.bodies[1]) == 1 and c.send(window_update(1, 2)) and c.until(
         lambda: len(c.bodies[1]) == 3) and c.ping() and len(c.bodies[1]) == 3)),
    ("6.9.1 a window above 2^31-1 ends the connection", window_update(0, 2**31 - 1) * 2, Connection((FLOW_CONTROL_ERROR,))),
    ("6.9.1 a stream's window above 2^31-1 resets it", open_stream() + window_update(1, 2**31 - 1) * 2,
     Stream((FLOW_CONTROL_ERROR,))),
    ("6.9.2 a new initial size changes the windows that there are", settings((INITIAL_WINDOW_SIZE, 0)) + headers(1),
     Is(lambda c: c.until(lambda: c.status(1)) and c.send(settings((INITIAL_WINDOW_SIZE, 1))) and c.until(lambda: 1 in c.bodies)
        and c.ping() and len(c.bodies[1]) == 1)),
    ("6.9.2 a window can become negative", settings((INITIAL_WINDOW_SIZE, 3)) + headers(1),
     Is(lambda c: c.until(lambda: len(c.bodies.get(1, b"")) == 3) and c.send(settings((INITIAL_WINDOW_SIZE, 2)) + window_update(1,
         2))
        and c.until(lambda: len(c.bodies[1]) == 4) and c.ping() and len(c.bodies[1]) == 4)),
    ("6.10 a head in many CONTINUATIONs is taken", HALF + part(0, 1, BLOCK[10:20]) + part(0, 1, BLOCK[20:30]) + part(END_HEADERS,
     1, BLOCK[30:]),
     Fine()),
    ("6.10 CONTINUATION must go on", HALF + part(0, 1, BLOCK[10:20]) + frame(DATA, END_STREAM, 1, b"x"),
     Connection((PROTOCOL_ERROR,))),
    ("6.10 CONTINUATION with stream 0 ends the connection", HALF + part(END_HEADERS, 0, BLOCK[10:]), Connection((PROTOCOL_ERROR,))),
    ("6.10 CONTINUATION after the head's end ends the connection", open_stream() + part(END_HEADERS, 1, BLOCK),
     Connection((PROTOCOL_ERROR,))),
    ("6.10 CONTINUATION after the last one ends the connection",
     frame(HEADERS, 0, 1, BLOCK[:10]) + part(END_HEADERS, 1, BLOCK[10:]) + part(END_HEADERS, 1, BLOCK),
         Connection((PROTOCOL_ERROR,))),
    ("6.10 CONTINUATION after DATA ends the connection", open_stream() + frame(DATA, 0, 1, b"x") + part(END_HEADERS, 1, BLOCK),
     Connection((PROTOCOL_ERROR,))),
    ("7 an error that is not known, in GOAWAY, is none", frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0xFF)),
     Is(lambda c: c.ping() or c.goaway() in (None, NO_ERROR))),
    ("7 an error that is not known, in RST_STREAM, is one", open_stream() + rst_stream(1, 0xFF) + headers(3), Fine(3)),
]

MALFORMED = Stream((PROTOCOL_ERROR,), refused=True)


def without(name):
    return [f for f in request() if f[0] != name]


def trailers(fields, flags=WHOLE):
    return open_stream() + frame(DATA, 0, 1, b"test") + headers(1, fields, flags)


def connect(without=None, protocol=b"websocket"):
    fields = [(b":method", b"CONNECT"), (b":protocol", protocol), (b":scheme", b"https"), (b":authority", b"a.test"), (b":path", b"/")]
    return headers(1, [field for field in fields if field[0] != without], END_HEADERS)


# Section 8: requests.
REQUESTS = [
    ("8.1 trailers are taken", trailers([(b"x-sum", b"1")]), Fine()),
    ("8.1 a second head that does not end the stream resets it", trailers([(b"x", b"1")], END_HEADERS), MALFORMED),
    ("8.1.1 more body than content-length resets the stream",
     headers(1, POST + [(b"content-length", b"1")], END_HEADERS) + frame(DATA, END_STREAM, 1, b"test"), MALFORMED),
    ("8.1.1 less body than content-length, in two frames, resets the stream",
     headers(1, POST + [(b"content-length", b"9")], END_HEADERS) + frame(DATA, 0, 1, b"test") + frame(DATA, END_STREAM, 1,
         b"test"), MALFORMED),
    ("8.2.1 a name with a capital is refused", headers(1, request(more=[(b"X-Test", b"1")])), MALFORMED),
    ("8.2.1 a name with a space is refused", headers(1, request(more=[(b"x test", b"1")])), MALFORMED),
    ("8.2.1 a name with a colon inside is refused", headers(1, request(more=[(b"x:test", b"1")])), MALFORMED),
    ("8.2.1 a value with CR LF is refused", headers(1, request(more=[(b"x", b"1\r\nevil: 1")])), MALFORMED),
    ("8.2.1 a value with NUL is refused", headers(1, request(more=[(b"x", b"1\0")])), MALFORMED),
    ("8.2.1 a value with a space before it is refused or trimmed", headers(1, request(more=[(b"x", b" 1")])),
     Is(lambda c: MALFORMED.holds(c) or c.status(1) == 200)),
    ("8.2.2 connection is refused", headers(1, request(more=[(b"connection", b"keep-alive")])), MALFORMED),
    ("8.2.2 transfer-encoding is refused", headers(1, request(more=[(b"transfer-encoding", b"chunked")])), MALFORMED),
    ("8.2.2 te other than trailers is refused", headers(1, request(more=[(b"te", b"trailers, deflate")])), MALFORMED),
    ("8.2.2 te: trailers is taken", headers(1, request(more=[(b"te", b"trailers")])), Fine()),
    ("8.3 a pseudo-field that is not known is refused", headers(1, request(more=[(b":test", b"1")])), MALFORMED),
    ("8.3 a pseudo-field of answers is refused", headers(1, request(more=[(b":status", b"200")])), MALFORMED),
    ("8.3 a pseudo-field in trailers is refused", trailers([(b":method", b"GET")]), MALFORMED),
    ("8.3 a pseudo-field after others is refused", headers(1, without(b":path") + [(b"x", b"1"), (b":path", b"/")]), MALFORMED),
    ("8.3.1 :path must not be empty", headers(1, request(path=b"")), MALFORMED),
    ("8.3.1 :path must begin with a slash", headers(1, request(path=b"x")), MALFORMED),
    ("8.3.1 a request needs :method", headers(1, without(b":method")), MALFORMED),
    ("8.3.1 a request needs :scheme", headers(1, without(b":scheme")), MALFORMED),
    ("8.3.1 a request needs :path", headers(1, without(b":path")), MALFORMED),
    ("8.3.1 a request needs a host", headers(1, without(b":authority")), MALFORMED),
    ("8.3.1 host stands for :authority", headers(1, without(b":authority") + [(b"host", b"a.test")]), Fine()),
    ("8.3.1 :method stands once", headers(1, request(more=[(b":method", b"GET")])), MALFORMED),
    ("8.3.1 :scheme stands once", headers(1, request(more=[(b":scheme", b"https")])), MALFORMED),
    ("8.3.1 :path stands once", headers(1, request(more=[(b":path", b"/")])), MALFORMED),
    ("8.5 CONNECT is not offered", headers(1, [(b":method", b"CONNECT"), (b":authority", b"a.test:443")]),
     Is(lambda c: c.until(lambda: c.is_done(1)) and c.status(1) in (0, 400, 405))),
    ("RFC 8441 3: the server's settings offer CONNECT with :protocol", headers(1),
     Is(lambda c: c.until(lambda: c.is_done(1)) and any(f.kind == SETTINGS and b"\0\x08\0\0\0\x01" in f.payload for f in c.frames))),
    ("RFC 8441 4: :protocol without CONNECT is refused", headers(1, request(more=[(b":protocol", b"websocket")])), MALFORMED),
    ("RFC 8441 4: CONNECT with :protocol needs :scheme", connect(b":scheme"), MALFORMED),
    ("RFC 8441 4: CONNECT with :protocol needs :path", connect(b":path"), MALFORMED),
    ("RFC 8441 4: CONNECT with :protocol needs :authority", connect(b":authority"), MALFORMED),
    ("RFC 9220 3: CONNECT for a protocol that is not known is answered by 501", connect(protocol=b"webtransport"),
     Is(lambda c: c.until(lambda: c.is_done(1)) and c.status(1) == 501)),
    ("RFC 8441 5: an application that does not speak WebSocket does not open a tunnel", connect(),
     Is(lambda c: c.until(lambda: c.is_done(1)) and c.status(1) == 502)),
    ("a GET, a HEAD, a POST", headers(1) + headers(3, request(b"HEAD")) + open_stream(5) + frame(DATA, END_STREAM, 5, b"x"),
     Fine(5)),
]


def hpack(data):
    return frame(HEADERS, WHOLE, 1, data)


HUFFMAN_SLASH = b"\x81\x63"  # the string "/" in Huffman's code: 011000, filled up with ones
BROKEN_HEAD = Connection((COMPRESSION_ERROR,))
# RFC 7541. :method GET, :scheme https and :path / stand in the static table as 2, 7 and 4.
SHORT = b"\x82\x87\x84\x41\x06a.test"
HPACK = [
    ("HPACK 2.3.3 an index beyond the tables", hpack(SHORT + integer(70, 7, 0x80)), BROKEN_HEAD),
    ("HPACK 2.3.3 a name's index beyond the tables", hpack(SHORT + integer(70, 6, 0x40) + string(b"x")), BROKEN_HEAD),
    ("HPACK 4.2 a change of the table's size at a block's end", hpack(SHORT + b"\x20"), BROKEN_HEAD),
    ("HPACK 5.1 an integer without end", hpack(SHORT + b"\x7f" + b"\xff" * 12 + b"\x01"), BROKEN_HEAD),
    ("HPACK 5.2 a string longer than its block", hpack(SHORT + b"\x00\x01x\x7e1"), BROKEN_HEAD),
    ("HPACK 5.2 Huffman's code with 8 bits of padding", hpack(b"\x82\x87\x41\x06a.test\x44\x82\x63\xff"), BROKEN_HEAD),
    ("HPACK 5.2 Huffman's code padded by zeros", hpack(b"\x82\x87\x41\x06a.test\x44\x81\x60"), BROKEN_HEAD),
    ("HPACK 5.2 Huffman's code with the symbol of the end", hpack(b"\x82\x87\x41\x06a.test\x44\x84\x3f\xff\xff\xff"), BROKEN_HEAD),
    ("HPACK 5.2 Huffman's code that is right", hpack(b"\x82\x87\x41\x06a.test\x44" + HUFFMAN_SLASH), Fine()),
    ("HPACK 6.1 index 0", hpack(SHORT + b"\x80"), BROKEN_HEAD),
    ("HPACK 6.1 indexed fields", hpack(SHORT), Fine()),
    ("HPACK 6.2.1 a field that goes into the table is there for the next head",
     hpack(SHORT + indexed(b"x-a", b"1")) + frame(HEADERS, WHOLE, 3, b"\x82\x87\x84\xbf\xbe"), Fine(3)),
    ("HPACK 6.2.2 a field that does not", hpack(b"\x82\x87\x04\x01/\x41\x06a.test"), Fine()),
    ("HPACK 6.2.3 a field that never does", hpack(b"\x82\x87\x14\x01/\x41\x06a.test\x10\x01x\x011"), Fine()),
    ("HPACK 6.3 changes of the table's size at a block's begin", hpack(b"\x20\x3f\xe1\x1f" + SHORT), Fine()),
    ("HPACK 6.3 a table larger than was allowed", hpack(b"\x3f\xe2\x1f" + SHORT), BROKEN_HEAD),
]


def check_greeting(tap, proxy):
    client = Client(proxy.tls_client())
    client.send(headers(1))
    Fine().holds(client)
    tap.check("3.4 the server's first frame is SETTINGS", client.frames and client.frames[0].kind == SETTINGS
              and not client.frames[0].flags & ACK)
    client.close()
    for name, text in (("no preface", b"INVALID CONNECTION PREFACE\r\n\r\n"), ("a preface without SETTINGS", PREFACE + headers(1))):
        client = Client(proxy.tls_client(), greet=False)
        client.send(text)
        client.until(lambda: client.ended)
        tap.check(f"3.4 {name} ends the connection", client.ended and not client.status(1))
        client.close()


def check_concurrency(tap, proxy):
    client = Client(proxy.tls_client())
    client.send(settings())
    client.until(lambda: any(f.kind == SETTINGS for f in client.frames))
    said = {struct.unpack(">H", client.frames[0].payload[i:i + 2])[0]: struct.unpack(">I", client.frames[0].payload[i + 2:i + 6])[0]
            for i in range(0, len(client.frames[0].payload), 6)}
    most = said.get(MAX_CONCURRENT_STREAMS, 0)
    client.send(many_streams(most + 1))
    over = 1 + 2 * most
    client.until(lambda: client.reset(over) is not None or client.goaway() is not None)
    tap.check(f"5.1.2 a stream more than the {most} that were allowed is refused, or ends the connection", 0 < most <= 1000
              and (client.reset(over) in (PROTOCOL_ERROR, REFUSED_STREAM) or client.goaway() == PROTOCOL_ERROR), said,
                  client.reset(over))
    client.close()


def main():
    tap = Tap()
    app = App(lambda request: b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + (b"" if request.startswith(b"HEAD ") else b"hello"))
    with Proxy([route("a.test", app)]) as proxy:
        check_greeting(tap, proxy)
        check_concurrency(tap, proxy)
        for name, sent, outcome in ROWS + REQUESTS + HPACK:
            client = Client(proxy.tls_client(patience=10))
            client.send(sent)
            held = outcome.holds(client)
            tap.check(name, held, f"status {client.status(1)}, stream reset with {client.reset(1)}, GOAWAY with {client.goaway()}, "
                      f"{'ended' if client.ended else 'open'}, bodies {client.bodies}")
            client.close()
        tap.check("the proxy lives on", proxy.is_alive())
    app.stop()
    return tap.code()


if __name__ == "__main__":
    sys.exit(main())
