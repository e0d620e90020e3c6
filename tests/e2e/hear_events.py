#!/usr/bin/python3
"""hear_events.py PORT TOKEN: prints the events that the API at 127.0.0.1:PORT tells a user, a line "EVENT DATA" each, until it is ended.

The events socket is a WebSocket (RFC 6455); a client's frames are masked.
"""
import base64
import json
import os
import socket
import struct
import sys


def frame(text):
    mask, body = os.urandom(4), text.encode()
    length = bytes([0x80 | len(body)]) if len(body) < 126 else b"\xfe" + struct.pack(">H", len(body))
    return b"\x81" + length + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(body))


def frames(stream):
    while head := stream.read(2):
        length = head[1] & 0x7F
        if length == 126:
            length, = struct.unpack(">H", stream.read(2))
        yield head[0] & 0x0F, stream.read(length)


def main(port, token):
    connection = socket.create_connection(("127.0.0.1", int(port)), timeout=60)
    connection.sendall((f"GET /v2/events/event-socket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n").encode())
    stream = connection.makefile("rb")
    while stream.readline() not in (b"\r\n", b""):
        pass
    connection.sendall(frame(json.dumps({"message_type": "oauth", "authorization": f"Bearer {token}"})))
    for code, body in frames(stream):
        if code != 1:
            sys.exit(f"the socket was closed: {body!r}")
        told = json.loads(body)
        if told.get("type") == "heartbeat":
            connection.sendall(frame('{"type":"heartbeat","heartbeat_msg":"pong"}'))
        else:
            print(told.get("event", told.get("message_type")), told.get("data", ""), flush=True)


main(*sys.argv[1:])
