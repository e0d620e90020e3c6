"""Runs tests and counts them one by one; `./dev test` calls it.

  run_tests.py names KIND... --preset P --filter F     names of the test programs of those kinds
  run_tests.py targets KIND... --preset P --filter F   names of their CMake targets
  run_tests.py run KIND... --preset P --filter F --results DIR [--lane FILE]...
  run_tests.py report --results DIR --allowed-skips FILE [--filter F] KIND...

Two shapes of test programs are counted: Catch2 programs (asked for their XML report; a test case that warns
`skipped: REASON` and ends is a skip) and programs that print TAP lines (`ok 1 - sentence`, `not ok 2 - sentence`,
`ok 3 - sentence # SKIP reason`). A program that crashes, hangs past its time limit or runs no test at all is a failure.

A lane is a file of lines NAME=VALUE: the variables of what one program at a time may have for itself, such as a platform.
Without lanes, programs of `unit` and `simulation` run side by side, others one after the other. Those that CTest knows by their
COST begin in that order, the dearest first. A script with a line `# Alone: REASON` waits for the others and runs by itself.

SIGINT and SIGTERM end the programs that run, with all that they have started; what is known by then is written, and the exit
code is 130.
"""
import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "logs" / "tests"
LABELS = {"unit": {"unit", "guards"}, "simulation": {"simulation"}, "integration": {"integration"}}
FOLDERS = {"conformance": ROOT / "tests" / "conformance", "e2e": ROOT / "tests" / "e2e"}
ROUNDS = max(1, int(os.environ.get("KARREG_TEST_ROUNDS") or 1))  # how often a script does all of it, if it can
SCRIPT_LIMIT = 1800.0 * ROUNDS  # seconds for one end-to-end file
PATIENCE = 60.0  # seconds that a program gets to end when it is told to: it may have a platform of its own to stop


@dataclasses.dataclass
class Program:
    kind: str
    name: str
    command: list
    limit: float
    is_catch2: bool
    folder: str = str(ROOT)
    cost: float = 0.0
    alone: bool = False


@dataclasses.dataclass
class Case:
    name: str
    result: str  # passed, failed or skipped
    detail: str = ""


def ctest_programs(kind, preset):
    """What CMake registered with one of the kind's labels."""
    listed = subprocess.run(["ctest", "--test-dir", str(ROOT / "build" / preset), "--show-only=json-v1"],
                            capture_output=True, text=True)
    if listed.returncode != 0:
        sys.exit(f"./dev: ctest could not list the tests of build/{preset}:\n{listed.stderr}")
    for test in json.loads(listed.stdout)["tests"]:
        properties = {p["name"]: p["value"] for p in test.get("properties", [])}
        if not LABELS[kind] & set(properties.get("LABELS", [])):
            continue
        command = test.get("command") or [str(ROOT / "build" / preset / "tests" / test["name"])]
        is_catch2 = pathlib.Path(command[0]).parent == ROOT / "build" / preset / "tests"
        yield Program(kind, test["name"], command, float(properties.get("TIMEOUT", 300)) * (1 if is_catch2 else ROUNDS), is_catch2,
                      properties.get("WORKING_DIRECTORY", str(ROOT)), float(properties.get("COST", 0)))


ALONE = re.compile(r"^# Alone: \S", re.MULTILINE)


def script_programs(kind):
    folder = FOLDERS[kind]
    for file in sorted(folder.glob("*_test.*")):
        if file.suffix in (".sh", ".mjs", ".py") and os.access(file, os.X_OK):
            yield Program(kind, f"{folder.name}/{file.name}", [str(file)], SCRIPT_LIMIT, False,
                          alone=bool(ALONE.search(file.read_text())))


def programs(kind, preset, wanted):
    found = ctest_programs(kind, preset) if kind in LABELS else script_programs(kind)
    return sorted((p for p in found if wanted in p.name), key=lambda p: -p.cost)


def catch2_cases(report):
    """The cases of a Catch2 XML report, cut short or not."""
    open_case = None
    try:
        for event, element in ElementTree.iterparse(report, events=("start", "end")):
            if event == "start" and element.tag == "TestCase":
                open_case = element.get("name")
            if event != "end" or element.tag != "TestCase":
                continue
            warnings = [(w.text or "").strip() for w in element.iter("Warning")]
            reason = next((w[len("skipped:"):].strip() for w in warnings if w.startswith("skipped:")), None)
            if element.find("OverallResult").get("success") != "true":
                yield Case(open_case, "failed", failure_text(element))
            elif reason is not None:
                yield Case(open_case, "skipped", reason)
            else:
                yield Case(open_case, "passed")
            open_case = None
    except (ElementTree.ParseError, OSError):
        pass
    if open_case is not None:
        yield Case(open_case, "failed", "the program ended in the middle of this test")


def failure_text(case):
    lines = []
    for element in case.iter():
        where = f"{element.get('filename', '')}:{element.get('line', '')}"
        if element.tag == "Expression" and element.get("success") == "false":
            original, expanded = element.findtext("Original", "").strip(), element.findtext("Expanded", "").strip()
            lines.append(f"{where}: {element.get('type')}( {original} )" + (f" is {expanded}" if expanded != original else ""))
            exception = element.findtext("Exception") or element.findtext("FatalErrorCondition")
            if exception:
                lines.append("  " + exception.strip())
        elif element.tag in ("Failure", "Exception", "FatalErrorCondition", "Info") and (element.text or "").strip():
            lines.append(f"{element.tag.lower()}: {element.text.strip()}")
    return "\n".join(lines[:30])


TAP = re.compile(r"^(not )?ok\b\s*\d*\s*-?\s*(.*?)\s*(?:#\s*skip\S*\s*(.*))?$", re.IGNORECASE)


def tap_cases(output):
    """The cases of TAP lines; the comment lines before a failed one are its detail."""
    notes, planned, seen = [], None, 0
    for line in output.splitlines():
        if line.startswith("#"):
            notes.append(line[1:].strip())
            continue
        plan = re.match(r"^1\.\.(\d+)", line)
        if plan:
            planned = int(plan.group(1))
        if line.startswith("Bail out!"):
            yield Case("the whole file", "failed", line)
        found = TAP.match(line)
        if not found:
            continue
        seen += 1
        if found.group(1):
            yield Case(found.group(2), "failed", "\n".join(notes[-30:]))
        elif found.group(3) is not None:
            yield Case(found.group(2), "skipped", found.group(3))
        else:
            yield Case(found.group(2), "passed")
        notes = []
    if planned is not None and planned != seen:
        yield Case("the plan of the file", "failed", f"{planned} tests were planned, {seen} ran")


def processes_of_session(session):
    """The pids in it, without those that have ended already."""
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text(errors="replace")
        except OSError:
            continue  # it has just ended
        # The second field is the program's name, in brackets; it may contain anything.
        state, _, _, of = text.rpartition(")")[2].split()[:4]
        if int(of) == session and state != "Z":
            yield int(stat.parent.name)


def end_session(process, patience=PATIENCE):
    """SIGTERM to a program and to all that it has started in its session; SIGKILL to what is left then."""
    for which in (signal.SIGTERM, signal.SIGKILL):
        for pid in processes_of_session(process.pid):
            try:
                os.kill(pid, which)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            process.poll()
            if not any(processes_of_session(process.pid)):
                return
            time.sleep(0.05)


class Running:
    """The programs that run now; closed, no further one begins."""

    def __init__(self):
        self.lock = threading.Lock()
        self.processes = set()
        self.closed = False

    def begin(self, command, **options):
        """The process; None once closed."""
        with self.lock:
            if self.closed:
                return None
            # A session of its own, so that its children are found when it must end.
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
            self.processes.add(process)
            return process

    def ended(self, process):
        with self.lock:
            self.processes.discard(process)

    def end_all(self):
        with self.lock:
            self.closed = True
            left = list(self.processes)
        enders = [threading.Thread(target=end_session, args=(process,)) for process in left]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()


RUNNING = Running()


INTERRUPTED = threading.Event()


def lane_variables(file):
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


def run_in_a_lane(program, lanes):
    """run_program in a lane that is free; as many threads call this as there are lanes."""
    lane = lanes.get_nowait()
    try:
        return *run_program(program, lane), lane.get("KARREG_TEST_PLATFORM")
    finally:
        lanes.put(lane)


def run_program(program, variables):
    log = LOGS / (program.name.replace("/", "-") + ".log")
    report = log.with_suffix(".xml")
    report.unlink(missing_ok=True)
    command = program.command + (["-r", "xml", "-d", "yes", "-o", str(report)] if program.is_catch2 else [])
    began, timed_out = time.monotonic(), False
    with open(log, "w") as output:
        try:
            process = RUNNING.begin(command, stdout=output, stderr=subprocess.STDOUT, cwd=program.folder,
                                    env=os.environ | variables)
        except OSError as error:
            return program, [Case(program.name, "failed", str(error))], 0.0, log
        if process is None:
            return program, [], 0.0, log
        try:
            code = process.wait(timeout=program.limit)
        except subprocess.TimeoutExpired:
            timed_out = True
            end_session(process)
            code = process.wait()
        RUNNING.ended(process)
    interrupted = RUNNING.closed and code != 0
    text = log.read_text(errors="replace")
    cases = list(catch2_cases(report) if program.is_catch2 else tap_cases(text))
    if interrupted:
        cases.append(Case(program.name, "failed", "it was interrupted"))
    elif timed_out:
        cases.append(Case(program.name, "failed", f"it did not end within {program.limit:.0f} s\n{tail(text)}"))
    elif code != 0 and not any(c.result == "failed" for c in cases):
        cases.append(Case(program.name, "failed", f"it ended with {ending(code)}\n{tail(text)}"))
    elif not cases:
        cases.append(Case(program.name, "failed", "it ran no test"))
    return program, cases, time.monotonic() - began, log


def ending(code):
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def tail(text, lines=20):
    return "\n".join(text.splitlines()[-lines:])


def run(arguments):
    LOGS.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    results = {kind: {"seconds": 0.0, "cases": []} for kind in arguments.kinds}

    def tell(future):
        program, cases, seconds, log, platform = future.result()
        show(program.kind, program, cases, seconds, log, platform)
        result = results[program.kind]
        # When the last of this kind ended; kinds that run side by side share that time.
        result["seconds"] = time.monotonic() - began
        result["cases"].extend({"program": program.name, **dataclasses.asdict(c)} for c in cases)

    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, lambda *_: INTERRUPTED.set())
    # Unit tests share nothing; those of one lane share a database and a broker.
    apart = all(kind in ("unit", "simulation") for kind in arguments.kinds)
    lanes = [lane_variables(f) for f in arguments.lane] or [{}] * (os.cpu_count() or 1 if apart else 1)
    wanted = [p for kind in arguments.kinds for p in programs(kind, arguments.preset, arguments.filter)]
    run_in_lanes([p for p in wanted if not p.alone], lanes, tell)
    run_in_lanes([p for p in wanted if p.alone], lanes[:1], tell)
    for kind, result in results.items():
        (arguments.results / f"{kind}.json").write_text(json.dumps(result))
    if INTERRUPTED.is_set():
        return 130
    return 1 if any(c["result"] == "failed" for result in results.values() for c in result["cases"]) else 0


def run_in_lanes(wanted, lanes, tell):
    """Each program in a lane that is free; `tell` gets the future of each that has ended. An interrupt ends what runs."""
    if INTERRUPTED.is_set():
        return
    free = queue.SimpleQueue()
    for variables in lanes:
        free.put(variables)
    with concurrent.futures.ThreadPoolExecutor(len(lanes)) as pool:
        pending = {pool.submit(run_in_a_lane, program, free) for program in wanted}
        while pending and not INTERRUPTED.is_set():
            done, pending = concurrent.futures.wait(pending, timeout=0.2, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                tell(future)
        if INTERRUPTED.is_set():
            print("interrupted: ending what runs", flush=True)
            pool.shutdown(wait=False, cancel_futures=True)
            RUNNING.end_all()
            for future in pending:
                if not future.cancelled():
                    tell(future)


def show(kind, program, cases, seconds, log, platform):
    count = {r: sum(c.result == r for c in cases) for r in ("passed", "failed", "skipped")}
    print(f"  {kind:12} {program.name:42} {count['passed']:4} passed"
          + (f", {count['skipped']} skipped" if count["skipped"] else "")
          + (f", {count['failed']} FAILED" if count["failed"] else "") + f"  {seconds:6.1f} s", flush=True)
    for case in cases:
        if case.result == "failed":
            print(f"    FAILED: {case.name}", *("      | " + line for line in case.detail.splitlines()), sep="\n")
            parts = f"; its platform's: {LOGS.parent.relative_to(ROOT)}/platform-{platform}-parts/" if platform else ""
            print(f"      log: {log.relative_to(ROOT)}{parts}", flush=True)


def allowed_skips(file):
    """Lines `kind: words of the test's name`; # starts a comment."""
    lines = (line.split("#")[0].strip() for line in file.read_text().splitlines()) if file.exists() else ()
    return [tuple(part.strip() for part in line.split(":", 1)) for line in lines if ":" in line]


def report(arguments):
    allowed, in_ci = allowed_skips(arguments.allowed_skips), os.environ.get("CI") == "true"
    total, bad, rows = {"passed": 0, "failed": 0, "skipped": 0}, [], []
    for kind in arguments.kinds:
        file = arguments.results / f"{kind}.json"
        result = json.loads(file.read_text()) if file.exists() else {"seconds": 0.0, "cases": []}
        count = {r: sum(c["result"] == r for c in result["cases"]) for r in total}
        rows.append((kind, count, result["seconds"]))
        # A filter may leave a kind without a test, but not all of them.
        if count["passed"] + count["failed"] == 0 and not arguments.filter:
            bad.append(f"{kind}: no test ran")
        for case in result["cases"]:
            if case["result"] == "failed":
                bad.append(f"{kind}: {case['program']}: {case['name']}")
            if case["result"] == "skipped":
                print(f"skipped: {kind}: {case['name']}: {case['detail'] or 'NO REASON GIVEN'}")
                if in_ci and not any(kind == k and words in case["name"] for k, words in allowed):
                    bad.append(f"{kind}: {case['name']}: skipped, and tests/allowed-skips does not allow it")
        for key in total:
            total[key] += count[key]
    if arguments.filter and total["passed"] + total["failed"] == 0:
        bad.append(f"no test ran: no program of these kinds has \"{arguments.filter}\" in its name")
    # What the platforms left behind; ./dev test writes it.
    failures = arguments.results / "platform.failures"
    bad += failures.read_text().splitlines() if failures.exists() else []
    print(f"\n{'kind':12} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}")
    for kind, count, seconds in rows:
        print(f"{kind:12} {count['passed']:7} {count['failed']:7} {count['skipped']:8} {seconds:8.1f}")
    if bad:
        print("\nnot good:", *bad, sep="\n  ")
    print(f"\n{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if bad else 0


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="what", required=True)
    for name in ("names", "targets", "run"):
        command = commands.add_parser(name)
        command.add_argument("kinds", choices=[*LABELS, *FOLDERS], nargs="+")
        command.add_argument("--preset", required=True)
        command.add_argument("--filter", default="")
        if name == "run":
            command.add_argument("--results", type=pathlib.Path, required=True)
            command.add_argument("--lane", type=pathlib.Path, action="append", default=[])
    command = commands.add_parser("report")
    command.add_argument("kinds", nargs="+")
    command.add_argument("--results", type=pathlib.Path, required=True)
    command.add_argument("--allowed-skips", type=pathlib.Path, required=True)
    command.add_argument("--filter", default="")
    arguments = parser.parse_args()
    if arguments.what in ("names", "targets"):
        found = [p for kind in arguments.kinds for p in programs(kind, arguments.preset, arguments.filter)]
        print(*(p.name for p in found if p.is_catch2 or arguments.what == "names"), sep="\n")
        return 0
    return run(arguments) if arguments.what == "run" else report(arguments)


if __name__ == "__main__":
    sys.exit(main())
