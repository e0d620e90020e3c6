"""One cold boot of the peer in QEMU, timed from outside by the marks that it writes to its serial port."""
import os
import queue
import socket
import subprocess
import threading
import time

from figures import answers_200

ACCEPTED = ("-machine", "-accel", "-cpu", "-m", "-smp")


def hardware_of(arguments):
    """From the command line of one of our VMs what its peer must have too: machine, accelerator, processor, memory."""
    found = {arguments[i]: arguments[i + 1] for i in range(len(arguments) - 1) if arguments[i] in ACCEPTED}
    # libvirt names its own memory object and appends what does not concern speed.
    found["-machine"] = found["-machine"].split(",")[0] + ",usb=off"
    found["-smp"] = found["-smp"].split(",")[0]
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _follow(pipe, marks):
    """Puts (mark, time) for each; the end of the output as (None, its last lines)."""
    last = []
    for raw in iter(pipe.readline, b""):
        now = time.monotonic()
        line = raw.decode(errors="replace").strip()
        last = (last + [line])[-8:]
        if "bench-mark " in line:
            marks.put((line.split("bench-mark ")[1].split()[0], now))
    marks.put((None, "\n".join(last)))


def boot(folder, app, hardware, limit=240):
    """Milliseconds from the start of QEMU to each stage of @app."""
    port = free_port()
    command = ["qemu-system-x86_64", "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot",
               *(part for pair in hardware.items() for part in pair),
               "-kernel", folder / "vmlinuz", "-initrd", folder / "initrd",
               "-append", f"root=/dev/vda ro quiet console=ttyS0 bench.app={app}",
               # What it writes goes to a file that is gone with it.
               "-drive", f"file={folder}/disk,format=raw,if=virtio,snapshot=on,cache=writeback,aio=threads,discard=unmap",
               "-netdev", f"user,id=net0,ipv6=off,hostfwd=tcp:127.0.0.1:{port}-:8080",
               "-device", "virtio-net-pci,netdev=net0,romfile=", "-device", "virtio-rng-pci", "-serial", "stdio"]
    began = time.monotonic()
    deadline = began + limit
    machine = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, env=dict(os.environ, TMPDIR="/var/tmp"))
    marks = queue.Queue()
    reader = threading.Thread(target=_follow, args=(machine.stdout, marks), daemon=True)
    reader.start()
    times = {}
    try:
        while not {"pid1", "exec", "listening", "ok"} <= times.keys():
            # Asked from the exec on, as ours is asked from the beginning: its mark "listening" comes late.
            asking = "exec" in times and "ok" not in times
            try:
                mark, at = marks.get(timeout=0.01 if asking else max(0.01, deadline - time.monotonic()))
                if mark is None:
                    raise SystemExit(f"the peer ({app}) ended early; its last words:\n{at}")
                times.setdefault(mark, at)
            except queue.Empty:
                pass
            if asking and answers_200(port, "peer.localhost", 0.5):
                times["ok"] = time.monotonic()
            elif time.monotonic() > deadline:
                raise SystemExit(f"the peer ({app}) did not come up within {limit} s; it came to: {list(times)}")
    finally:
        machine.kill()
        machine.wait(timeout=30)
        reader.join(timeout=10)
    return {mark: (at - began) * 1000 for mark, at in times.items()}
