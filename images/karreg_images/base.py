"""What every part needs: words for people, digests, whole files, programs."""
import contextlib
import hashlib
import inspect
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent.parent  # images/
EPOCH = "1700000000"  # all files of an image carry this time: the same packages give the same bytes
FS_UUID = "6b617272-6567-4000-8000-000000000001"
FAILED, WRONG_USE, NO_OWN_KERNEL, DIFFERENT, NO_SUCH_PACKAGES = 1, 2, 3, 4, 5
STARTED = time.monotonic()


class Unusable(Exception):
    """What came from outside cannot be used; says why."""


def say(text):
    print(f"[{time.monotonic() - STARTED:6.1f} s] images: {text}", file=sys.stderr, flush=True)


def die(text, code=FAILED):
    print(f"images/build: {text}", file=sys.stderr)
    sys.exit(code)


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def key_of(*parts):
    """The digest of a recipe. Functions count by their source: a changed step is a changed recipe."""
    texts = [inspect.getsource(part) if callable(part) else json.dumps(part, sort_keys=True) for part in parts]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def to_disk(path):
    """A name in the store must never stand for bytes that a power cut took away."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_text(path, text):
    """Writes the whole file or, if we are stopped, leaves the old one."""
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text)
    to_disk(temporary)
    temporary.rename(path)
    to_disk(path.parent)


TOO_LARGE = "it takes more than"


class Bound:
    """What programs that run() starts may fill: @folder with @most bytes; nothing says no bound."""
    folder, most = None, None


@contextlib.contextmanager
def bounded(folder, most):
    """Within it, what run() starts may fill @folder with @most bytes, without a bound where that is None."""
    Bound.folder, Bound.most = folder if most else None, most
    try:
        yield
    finally:
        Bound.folder = None


def taken(folder):
    """Bytes that @folder has on its own disk; what is mounted in it does not count."""
    done = subprocess.run(["du", "-s", "-x", "-B1", "--", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          check=False)  # files go while it looks
    return int(done.stdout.split()[0]) if done.stdout else 0


def run(output, *command, **options):
    """Runs @command to its end, its output going into the file @output."""
    words = [str(c) for c in command]
    with subprocess.Popen(words, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=Bound.folder is not None,
                          **options) as program:
        while Bound.folder is not None and program.returncode is None:
            try:
                program.wait(timeout=1)
            except subprocess.TimeoutExpired:
                if taken(Bound.folder) > Bound.most:
                    os.killpg(program.pid, signal.SIGKILL)
                    raise Unusable(f"{TOO_LARGE} {Bound.most >> 20} MiB") from None
    if program.returncode != 0:
        raise subprocess.CalledProcessError(program.returncode, words)


def query(*command, code=FAILED):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        die(f"{' '.join(command)} exited with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}", code)
    return done.stdout
