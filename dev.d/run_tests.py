"""Runs the tests of one kind and counts them one by one; `./dev test` calls it.

  run_tests.py targets KIND --preset P --filter F      names of the CMake targets of that kind
  run_tests.py run KIND --preset P --filter F --results DIR
  run_tests.py report --results DIR --allowed-skips FILE KIND...

Two shapes of test programs are counted: Catch2 programs (asked for their XML report; a test case that warns
`skipped: REASON` and ends is a skip) and programs that print TAP lines (`ok 1 - sentence`, `not ok 2 - sentence`,
`ok 3 - sentence # SKIP reason`). A program that crashes, hangs past its time limit or runs no test at all is a failure.
"""
import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "logs" / "tests"
LABELS = {"unit": {"unit", "guards"}, "simulation": {"simulation"}, "integration": {"integration"}}
FOLDERS = {"conformance": ROOT / "tests" / "conformance", "e2e": ROOT / "tests" / "e2e"}
SCRIPT_LIMIT = 1800.0  # seconds for one end-to-end file


@dataclasses.dataclass
class Program:
    name: str
    command: list
    limit: float
    is_catch2: bool
    folder: str = str(ROOT)


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
        yield Program(test["name"], command, float(properties.get("TIMEOUT", 300)), is_catch2,
                      properties.get("WORKING_DIRECTORY", str(ROOT)))


def script_programs(folder):
    for file in sorted(folder.glob("*_test.*")):
        if file.suffix in (".sh", ".mjs", ".py") and os.access(file, os.X_OK):
            yield Program(f"{folder.name}/{file.name}", [str(file)], SCRIPT_LIMIT, False)


def programs(kind, preset, wanted):
    found = ctest_programs(kind, preset) if kind in LABELS else script_programs(FOLDERS[kind])
    return [p for p in found if wanted in p.name]


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


def run_program(program):
    log = LOGS / (program.name.replace("/", "-") + ".log")
    report = log.with_suffix(".xml")
    report.unlink(missing_ok=True)
    command = program.command + (["-r", "xml", "-d", "yes", "-o", str(report)] if program.is_catch2 else [])
    began, timed_out = time.monotonic(), False
    with open(log, "w") as output:
        try:
            # A session of its own, so that a time limit ends its children too.
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                       cwd=program.folder, start_new_session=True)
        except OSError as error:
            return program, [Case(program.name, "failed", str(error))], 0.0, log
        try:
            code = process.wait(timeout=program.limit)
        except subprocess.TimeoutExpired:
            timed_out = True
            os.killpg(process.pid, signal.SIGTERM)
            try:
                code = process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                code = process.wait()
    text = log.read_text(errors="replace")
    cases = list(catch2_cases(report) if program.is_catch2 else tap_cases(text))
    if timed_out:
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
    all_cases = []
    found = programs(arguments.kind, arguments.preset, arguments.filter)
    # Unit tests share nothing; the others share a database, a broker and two cores.
    workers = os.cpu_count() or 1 if arguments.kind in ("unit", "simulation") else 1
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run_program, p) for p in found]):
            program, cases, seconds, log = done.result()
            count = {r: sum(c.result == r for c in cases) for r in ("passed", "failed", "skipped")}
            print(f"  {arguments.kind:12} {program.name:42} {count['passed']:4} passed"
                  + (f", {count['skipped']} skipped" if count["skipped"] else "")
                  + (f", {count['failed']} FAILED" if count["failed"] else "") + f"  {seconds:6.1f} s", flush=True)
            for case in cases:
                if case.result == "failed":
                    print(f"    FAILED: {case.name}", *("      | " + line for line in case.detail.splitlines()), sep="\n")
                    print(f"      log: {log.relative_to(ROOT)}", flush=True)
            all_cases += [{"program": program.name, **dataclasses.asdict(c)} for c in cases]
    result = {"kind": arguments.kind, "seconds": time.monotonic() - began, "cases": all_cases}
    (arguments.results / f"{arguments.kind}.json").write_text(json.dumps(result))
    return 1 if any(c["result"] == "failed" for c in all_cases) else 0


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
        if count["passed"] + count["failed"] == 0:
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
    for name in ("targets", "run"):
        command = commands.add_parser(name)
        command.add_argument("kind", choices=[*LABELS, *FOLDERS])
        command.add_argument("--preset", required=True)
        command.add_argument("--filter", default="")
        if name == "run":
            command.add_argument("--results", type=pathlib.Path, required=True)
    command = commands.add_parser("report")
    command.add_argument("kinds", nargs="+")
    command.add_argument("--results", type=pathlib.Path, required=True)
    command.add_argument("--allowed-skips", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    if arguments.what == "targets":
        print(*(p.name for p in programs(arguments.kind, arguments.preset, arguments.filter) if p.is_catch2), sep="\n")
        return 0
    return run(arguments) if arguments.what == "run" else report(arguments)


if __name__ == "__main__":
    sys.exit(main())
