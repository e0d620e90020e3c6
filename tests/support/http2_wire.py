"""HTTP/2 as bytes (RFC 9113, RFC 7541): frames as wrong as a test wants them, and what comes back."""
import ctypes
import socket
import struct
import time

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM,
 CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY, HTTP_1_1_REQUIRED) = range(14)
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def settings(*pairs, flags=0, stream=0):
    return frame(SETTINGS, flags, stream, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def rst_stream(stream, error=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", error))


def priority(on, stream=1, exclusive=0):
    return frame(PRIORITY, 0, stream, struct.pack(">IB", exclusive | on, 255))


def integer(value, bits, first=0):
    """RFC 7541 §5.1, after the bits of @p first."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((first | value,))
    value, out = value - most, bytearray((first | most,))
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    out.append(value)
    return bytes(out)


def string(text):
    return integer(len(text), 7) + text


def literal(name, value):
    """A field that changes no table (RFC 7541 §6.2.2), its name as text."""
    return b"\x00" + string(name) + string(value)


def indexed(name, value):
    """A field that goes into the table (RFC 7541 §6.2.1)."""
    return b"\x40" + string(name) + string(value)


def request(method=b"GET", path=b"/", authority=b"a.test", scheme=b"https", more=()):
    """Fields of a request; None leaves one out."""
    pseudo = ((b":method", method), (b":scheme", scheme), (b":authority", authority), (b":path", path))
    return [(n, v) for n, v in pseudo if v is not None] + list(more)


def block(fields):
    return b"".join(literal(name, value) for name, value in fields)


def headers(stream, fields=None, flags=END_HEADERS | END_STREAM):
    return frame(HEADERS, flags, stream, block(request() if fields is None else fields))


class Inflater:
    """The decoder of nghttp2, the library that the proxy reads HTTP/2 with (RFC 7541)."""

    class _Field(ctypes.Structure):
        _fields_ = [("name", ctypes.POINTER(ctypes.c_uint8)), ("value", ctypes.POINTER(ctypes.c_uint8)),
                    ("name_size", ctypes.c_size_t), ("value_size", ctypes.c_size_t), ("flags", ctypes.c_uint8)]

    def __init__(self):
        self.library = ctypes.CDLL("libnghttp2.so.14")
        self.library.nghttp2_hd_inflate_hd2.restype = ctypes.c_ssize_t
        self.library.nghttp2_hd_inflate_hd2.argtypes = [ctypes.c_void_p, ctypes.POINTER(self._Field), ctypes.POINTER(ctypes.c_int),
                                                        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
        for name in ("nghttp2_hd_inflate_end_headers", "nghttp2_hd_inflate_del"):
            getattr(self.library, name).argtypes = [ctypes.c_void_p]
        self.library.nghttp2_hd_inflate_change_table_size.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        self.state = ctypes.c_void_p()
        if self.library.nghttp2_hd_inflate_new(ctypes.byref(self.state)) != 0:
            raise MemoryError

    def __del__(self):
        if getattr(self, "state", None):
            self.library.nghttp2_hd_inflate_del(self.state)

    def allow_table(self, size):
        self.library.nghttp2_hd_inflate_change_table_size(self.state, size)

    def fields(self, data):
        """All fields of one block; ValueError when it is none."""
        out, field, flags = [], self._Field(), ctypes.c_int()
        while True:
            taken = self.library.nghttp2_hd_inflate_hd2(self.state, ctypes.byref(field), ctypes.byref(flags), data, len(data), 1)
            if taken < 0:
                raise ValueError(f"nghttp2 refuses the block: {taken}")
            data = data[taken:]
            if flags.value & 0x2:
                out.append((ctypes.string_at(field.name, field.name_size), ctypes.string_at(field.value, field.value_size)))
            if flags.value & 0x1:
                self.library.nghttp2_hd_inflate_end_headers(self.state)
                return out
            if taken == 0 and not data:
                raise ValueError("the block ends in the middle of a field")


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags, self.stream, self.payload = kind, flags, stream, payload

    def error(self):
        """The code of RST_STREAM or GOAWAY."""
        return struct.unpack(">I", self.payload[:4] if self.kind == RST_STREAM else self.payload[4:8])[0]


class Client:
    """A connection that sends what it is told and keeps what comes: frames in `frames`, heads by stream in `heads`."""

    def __init__(self, peer, greet=True, first=b""):
        """@p first: settings in the preface, when not the default ones."""
        self.peer, self.buffer, self.ended = peer, b"", False
        self.frames, self.heads, self.bodies, self.inflater = [], {}, {}, Inflater()
        if greet:
            self.send(PREFACE + (first or settings()))

    def close(self):
        self.peer.close()

    def send(self, data):
        """Whether all was taken."""
        try:
            self.peer.sendall(data)
            return True
        except OSError:
            return False

    def _take(self):
        while len(self.buffer) >= 9:
            size = int.from_bytes(self.buffer[:3], "big")
            if len(self.buffer) < 9 + size:
                return
            kind, flags = self.buffer[3], self.buffer[4]
            stream = int.from_bytes(self.buffer[5:9], "big") & 0x7FFFFFFF
            got = Frame(kind, flags, stream, self.buffer[9:9 + size])
            self.buffer = self.buffer[9 + size:]
            self.frames.append(got)
            if kind == HEADERS:
                self.heads.setdefault(stream, []).append(self.inflater.fields(got.payload))
            if kind == DATA:
                self.bodies[stream] = self.bodies.get(stream, b"") + got.payload
            if kind == SETTINGS and not flags & ACK:
                self.send(settings(flags=ACK))

    def until(self, holds, patience=10.0):
        """Reads until holds(); its value then, at the connection's end or after @p patience seconds."""
        deadline = time.monotonic() + patience
        while not holds():
            left = deadline - time.monotonic()
            if self.ended or left <= 0:
                return holds()
            self.peer.settimeout(left)
            try:
                more = self.peer.recv(65536)
            except socket.timeout:
                continue
            except OSError:
                more = b""
            if not more:
                self.ended = True
            self.buffer += more
            self._take()
        return holds()

    def status(self, stream):
        """Of the last head; 0: there is none."""
        heads = self.heads.get(stream)
        return int(dict(heads[-1])[b":status"]) if heads else 0

    def goaway(self):
        """The error that the connection ended with; None: it was not said."""
        found = [f for f in self.frames if f.kind == GOAWAY]
        return found[-1].error() if found else None

    def reset(self, stream):
        found = [f for f in self.frames if f.kind == RST_STREAM and f.stream == stream]
        return found[-1].error() if found else None

    def is_done(self, stream):
        """The stream has ended, either way."""
        ends = any(f.stream == stream and f.kind in (DATA, HEADERS) and f.flags & END_STREAM for f in self.frames)
        return ends or self.reset(stream) is not None

    def ping(self, patience=10.0):
        """Whether all that was sent before was read: the answer to a PING comes after it."""
        mark = struct.pack(">d", time.monotonic())
        self.send(frame(PING, 0, 0, mark))
        return self.until(lambda: any(f.kind == PING and f.flags & ACK and f.payload == mark for f in self.frames), patience)
