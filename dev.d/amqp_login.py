"""amqp_login.py PORT USER PASSWORD: exit 0 when a RabbitMQ node answers on loopback and accepts this user (AMQP 0-9-1)."""
import socket
import struct
import sys

START, START_OK, TUNE = (10, 10), (10, 11), (10, 30)


def frame(connection):
    """The class and method of the next method frame."""
    header = b""
    while len(header) < 7:
        header += connection.recv(7 - len(header)) or sys.exit("the node closed the connection")
    kind, _, size = struct.unpack(">BHI", header)
    body = b""
    while len(body) < size + 1:
        body += connection.recv(size + 1 - len(body)) or sys.exit("the node closed the connection")
    return struct.unpack(">HH", body[:4]) if kind == 1 else None


def short(text):
    return bytes([len(text)]) + text


def long(text):
    return struct.pack(">I", len(text)) + text


port, user, password = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3].encode()
with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
    connection.sendall(b"AMQP\x00\x00\x09\x01")
    if frame(connection) != START:
        sys.exit("this is not RabbitMQ")
    answer = (struct.pack(">HH", *START_OK) + long(b"") + short(b"PLAIN")
              + long(b"\0" + user + b"\0" + password) + short(b"en_US"))
    connection.sendall(struct.pack(">BHI", 1, 0, len(answer)) + answer + b"\xce")
    if frame(connection) != TUNE:
        sys.exit("the node does not accept this user")
