"""clang-tidy over the C++ files whose path contains a filter: `tidy.py PRESET JOBS LOG [FILTER]`, from the root of the tree.

Of a file's minute nearly all goes into the headers of Asio, Boost and the standard library, which clang-tidy 19 walks
through anew for each. So files that are compiled with the same flags are read together, as one source of up to TOGETHER
files; where names of two of them collide, the source is halved until they part. Findings carry the place in the file
itself. Ends with 4 when there are findings, with 3 when a file could not be checked (1 is what Python ends with when we fail).
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import threading

TOGETHER = 12  # more files save little, and names collide more often
TIME_LIMIT = 1800  # seconds, for one source
WITH_A_VALUE = {"-o", "-MF", "-MT", "-MQ"}
FINDING = re.compile(r"^(?P<path>[^\s:][^:]*):(?P<line>\d+):(?P<column>\d+): (?P<text>(?:warning|error): .*\[[^\]]+\])$")


def flags_of(entry):
    """A compile command's own part: without its compiler cache, its source, its output and its dependency file."""
    words = shlex.split(entry["command"])
    if words[0].endswith("ccache"):
        words = words[1:]
    kept = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in WITH_A_VALUE:
            skip = True
        elif word not in ("-c", "-MD", entry["file"]):
            kept.append(word)
    return tuple(kept)


def sources(preset, wanted):
    """(flags, files) for each set of files that may be read together."""
    root = os.getcwd() + "/"
    groups = {}
    for entry in json.loads(pathlib.Path(f"build/{preset}/compile_commands.json").read_text()):
        path = entry["file"].removeprefix(root)
        if path.startswith(("build/", "/")) or wanted not in path:
            continue
        groups.setdefault(flags_of(entry), set()).add(path)
    for flags, files in sorted(groups.items(), key=lambda group: -len(group[1])):
        files = sorted(files)
        # Every program has a main of its own.
        alone = [f for f in files if f.endswith("/main.cpp")]
        others = [f for f in files if f not in alone]
        yield from ((flags, others[i : i + TOGETHER]) for i in range(0, len(others), TOGETHER))
        yield from ((flags, [f]) for f in alone)


class Tidy:
    def __init__(self, preset, log):
        self.folder = pathlib.Path(f"build/tidy/{preset}")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = log
        self.lock = threading.Lock()
        self.count = 0
        self.checked = set()
        self.findings = set()
        self.failures = []

    def write(self, files):
        """One source of all of them, and for each of its lines the file and the line it came from."""
        with self.lock:
            self.count += 1
            path = self.folder / f"{self.count}.cpp"
        origin = [None]
        with path.open("w") as out:
            for file in files:
                for number, line in enumerate(pathlib.Path(file).read_text().splitlines(), 1):
                    out.write(line + "\n")
                    origin.append((file, number))
        return path.resolve(), origin

    def check(self, flags_given, files):
        try:
            self.read(flags_given, files)
        except (OSError, subprocess.TimeoutExpired) as error:
            with self.lock:
                self.failures.append(f"{' '.join(files)}: {error}")

    def read(self, flags_given, files):
        path, origin = self.write(files)
        # What a file includes from its own folder is still found from where the source lies.
        folders = sorted({str(pathlib.Path(file).parent.resolve()) for file in files})
        flags = (*flags_given, *(f"-iquote{folder}" for folder in folders))
        if len(files) > 1:
            parsed = subprocess.run([*flags, "-fsyntax-only", path], capture_output=True, timeout=TIME_LIMIT, check=False)
            if parsed.returncode != 0:
                half = len(files) // 2
                self.check(flags_given, files[:half])
                self.check(flags_given, files[half:])
                return
        run = subprocess.run(
            ["clang-tidy-19", "--quiet", "--config-file=.clang-tidy", path, "--", *flags[1:]],
            capture_output=True, text=True, timeout=TIME_LIMIT, check=False,
        )
        found = set()
        text = []
        for line in run.stdout.splitlines():
            at = FINDING.match(line)
            if at and at["path"] == str(path):
                file, number = origin[int(at["line"])]
                line = f"{file}:{number}:{at['column']}: {at['text']}"
            elif at:
                line = line.removeprefix(os.getcwd() + "/")
            if at:
                found.add(line)
            text.append(line)
        with self.lock:
            self.findings |= found
            if run.returncode != 0 and not found:
                self.failures.append(f"{' '.join(files)}: clang-tidy ended with {run.returncode}: {run.stderr.strip()[-2000:]}")
            else:
                self.checked.update(files)
            print("\n".join([*text, *(f"checked {file}" for file in files)]), file=self.log, flush=True)


def main():
    preset, jobs, log, *wanted = sys.argv[1:]
    work = list(sources(preset, wanted[0] if wanted else ""))
    files = {file for _, some in work for file in some}
    if not files:
        print(f'./dev tidy: no C++ file has "{wanted[0]}" in its path', file=sys.stderr)
        return 2
    with open(log, "w") as out, concurrent.futures.ThreadPoolExecutor(int(jobs)) as pool:
        tidy = Tidy(preset, out)
        for done in concurrent.futures.as_completed([pool.submit(tidy.check, *one) for one in work]):
            done.result()
            print(f"{len(tidy.checked)} of {len(files)} files, {len(tidy.findings)} findings", flush=True)
    print("\n".join(sorted(tidy.findings)))
    for failure in tidy.failures:
        print(failure, file=sys.stderr)
    if tidy.failures or tidy.checked != files:
        return 3
    return 4 if tidy.findings else 0


if __name__ == "__main__":
    sys.exit(main())
