"""Prints NAME=PORT for every argument NAME=PREFERRED: the preferred port when it is free on loopback (0: no preference),
otherwise another free one below the range that the kernel gives to outgoing connections."""
import random
import socket
import sys

taken = set()


def is_free(port):
    if port in taken:
        return False
    for address in ("127.0.0.1", "0.0.0.0"):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def choose(preferred):
    candidates = [preferred] if preferred else []
    candidates += random.sample(range(20000, 30000), 2000)
    for port in candidates:
        if is_free(port):
            taken.add(port)
            return port
    sys.exit("./dev: no free TCP port between 20000 and 30000 on this machine")


for argument in sys.argv[1:]:
    name, preferred = argument.split("=")
    print(f"{name}={choose(int(preferred))}")
