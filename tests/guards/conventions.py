#!/usr/bin/env python3
"""Guards: greps the tree for what our conventions forbid, since no compiler checks it. Prints TAP.

Each guard is also tried on a planted violation (`planted`), so that a guard that can no longer fail fails itself.
"""
import dataclasses
import pathlib
import re
import subprocess
import sys
import typing

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROOMS = ("api", "scheduler", "builder", "hypervisor-agent", "reverse-proxy", "images", "cli")
CPP = (".cpp", ".hpp")
SHELL_LIKE = (".sh", ".py", ".mjs", ".ts", ".cpp", ".hpp", "")


@dataclasses.dataclass
class File:
    path: str
    text: str

    @property
    def suffix(self):
        return pathlib.PurePosixPath(self.path).suffix

    @property
    def room(self):
        return self.path.split("/")[0]

    def lines(self):
        return enumerate(self.text.splitlines(), 1)

    def grep(self, pattern):
        """The places of the lines that match."""
        return [f"{self.path}:{number}: {line.strip()[:100]}" for number, line in self.lines() if re.search(pattern, line)]


@dataclasses.dataclass
class Guard:
    sentence: str
    check: typing.Callable[[File], list]
    planted: File


def beast_is_fenced(file):
    if file.suffix not in CPP or file.path.startswith(("common/http/", "reverse-proxy/", "cmake/precompiled")):
        return []
    return file.grep(r"#include <boost/beast")


def cli11_only_at_the_edge(file):
    if file.suffix not in CPP or file.room == "cli" or file.path.endswith("/main.cpp") or file.path == "common/program.hpp":
        return []
    return file.grep(r'#include (<CLI/|"common/program\.hpp")')


def json_reads_whole_numbers(file):
    if file.suffix not in CPP or file.path == "common/json.hpp":
        return []
    return file.grep(r"#include <nlohmann/json\.hpp>")


def toml_in_one_place(file):
    if file.suffix not in CPP or file.path == "common/toml.hpp":
        return []
    return file.grep(r"#include <toml\+\+/")


def may_hold_sql(file):
    outside = file.suffix not in CPP or file.path.startswith(("common/db/", "tests/"))
    return outside or re.search(r"(_store|/stores)\.(cpp|hpp)$", file.path)


def sql_only_in_stores(file):
    return [] if may_hold_sql(file) else file.grep(r"\bexec(_params)?[01n]?\(")


def libpqxx_only_in_stores(file):
    return [] if may_hold_sql(file) else file.grep(r"#include <pqxx")


def no_giant_files(file):
    # The reference of the command line is made by the program (karreg reference).
    if file.path.endswith(("package-lock.json", ".svg", ".config")) or file.path == "docs/cli.md":
        return []
    count = file.text.count("\n")
    return [f"{file.path}: {count} lines"] if count > 600 else []


def sleeps_only_in_wait_loops(file):
    """A sleep as synchronisation is a race; inside a polling loop with a deadline it is a poll interval."""
    if file.room != "tests" or file.suffix not in SHELL_LIKE:
        return []
    lines, found = file.text.splitlines(), []
    for number, line in enumerate(lines):
        code = line.strip()
        if code.startswith(("#", "//", "///", "*")) or not re.search(r"(?<!co_await )\bsleep(_for|_until)?\b\s*[\d(.$]|setTimeout\(r", code):
            continue
        around = " ".join(lines[max(0, number - 12):number + 1])
        # What makes it a poll: a loop and a deadline shortly before it. What makes it none of ours: text handed to
        # somebody else (a tenant's program, a quoted script). Else a comment says why: "not a wait ...", "longer than ...".
        polls = re.search(r"\b(while|until|for)\b", around) and re.search(r"deadline|SECONDS|timeout|at_most|until", around)
        quoted = re.search(r"[\"'`].*\bsleep\b.*[\"'`]", code)
        explained = re.search(r"not a wait|[Ll]onger than", around)
        raw = re.search(r'R"\w*\(', "\n".join(lines[max(0, number - 12):number + 1]))
        if not polls and not quoted and not explained and not raw:
            found.append(f"{file.path}:{number + 1}: {code[:100]}")
    return found


def rooms_stay_apart(file):
    if file.suffix not in CPP or file.room not in ROOMS:
        return []
    others = "|".join(room for room in ROOMS if room != file.room)
    # `karreg build --explain` says what the builder would do: both use the inspector, which is pure.
    shared = r"(?!builder/(inspect|folder_tree|plan_text)\.hpp)" if file.room == "cli" else ""
    return file.grep(rf'#include "{shared}({others})/')


def common_knows_no_room(file):
    if file.suffix not in CPP or file.room != "common":
        return []
    return file.grep(rf'#include "({"|".join(ROOMS)})/')


def cores_do_no_io(file):
    """Pure cores include nothing of Asio, SQL or libvirt."""
    if not file.path.startswith(("scheduler/core/", "builder/languages/")):
        return []
    return file.grep(r'#include [<"](boost/asio|boost/beast|pqxx|libvirt|common/(async|db|broker|http)/)')


def pragma_once(file):
    if file.suffix != ".hpp" or "#pragma once" in file.text.split("\n\n", 1)[0] + file.text[:400]:
        return []
    return [f"{file.path}: no #pragma once at its top"]


def no_todo(file):
    if file.path.startswith("tests/guards/") or file.suffix not in SHELL_LIKE:
        return []
    return file.grep(r"\b(TODO|FIXME|XXX)\b")


def settings_are_documented(file):
    """A setting is declared as {"section.key", "meaning", ...}; the operator's page has a row for each."""
    # The names in builder/languages are those of files.
    if file.suffix != ".cpp" or file.room == "tests" or file.path.startswith("builder/languages/"):
        return []
    page = (ROOT / "docs" / "operating.md").read_text()
    declared = re.findall(r'^\s*(?:return )?\{\{?"([a-z0-9]+\.[a-z0-9_]+)",', file.text, re.MULTILINE)
    return [f"{file.path}: {name} is not in docs/operating.md" for name in declared if f"| `{name}` |" not in page]


# What a build makes or a copy of the repository does not have.
NOT_KEPT = re.compile(r"^(build|webui/dist)(/|$)|(^|/)node_modules(/|$)")


def paths_in_pages_exist(file):
    """In pages, what is in back-quotes and begins with a folder of ours is a path: of the top, or of the page's own folder."""
    if file.suffix != ".md":
        return []
    own, found, fenced = pathlib.PurePosixPath(file.path).parent, [], False
    for number, line in file.lines():
        fenced ^= line.startswith("```")
        if fenced:
            continue
        linked = [target for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", line) if not (ROOT / own / target).exists()]
        quoted = [words.split()[0] for words in re.findall(r"`([^`\s][^`]*)`", line)]
        paths = [q for q in quoted if re.fullmatch(r"[\w.-]+(/[\w.*-]+)+/?", q) and not NOT_KEPT.search(q)]
        missing = [p for p in paths if is_of_ours(p, own) and not any(is_there(base, p) for base in (ROOT, ROOT / own))]
        found += [f"{file.path}:{number}: there is no {path}" for path in linked + missing]
    return found


def is_of_ours(path, own):
    first = path.split("/")[0]
    return (ROOT / first).is_dir() or (ROOT / own / first).is_dir()


def is_there(base, path):
    """A path, a pattern, or the common name of a header and its source."""
    return any(True for pattern in (path.rstrip("/"), path.rstrip("/") + ".*") for _ in base.glob(pattern))


def named_pages_exist(file):
    if file.suffix not in SHELL_LIKE + (".txt", ".sql", ".toml", ".json") or file.path.startswith("tests/guards/"):
        return []
    return [f"{file.path}:{number}: there is no {page}" for number, line in file.lines()
            for page in re.findall(r"\bdocs/[\w-]+\.md\b", line) if not (ROOT / page).exists()]


GUARDS = [
    Guard("Boost.Beast is included only in common/http and reverse-proxy", beast_is_fenced,
          File("api/routes.cpp", "#include <boost/beast/http.hpp>\n")),
    Guard("CLI11 is included only in cli/ and in main.cpp", cli11_only_at_the_edge,
          File("builder/options.cpp", "#include <CLI/CLI.hpp>\n")),
    Guard("nlohmann/json is included by way of common/json.hpp, which checks whole numbers", json_reads_whole_numbers,
          File("api/routes.cpp", "#include <nlohmann/json.hpp>\n")),
    Guard("toml++ is included only in common/toml.hpp, which makes errors of its assertions", toml_in_one_place,
          File("builder/x.cpp", "#include <toml++/toml.h>\n")),
    Guard("libpqxx is included only in *_store files and common/db", libpqxx_only_in_stores,
          File("api/routes.cpp", "#include <pqxx/pqxx>\n")),
    Guard("SQL stands only in *_store files and common/db", sql_only_in_stores,
          File("api/routes.cpp", "  work.exec_params0(\"DELETE FROM apps\");\n")),
    Guard("no file is longer than 600 lines", no_giant_files, File("api/routes.cpp", "\n" * 601)),
    Guard("tests sleep only inside polling loops with a deadline", sleeps_only_in_wait_loops,
          File("tests/e2e/x_test.sh", "start\nsleep 5\n")),
    Guard("rooms do not include one another", rooms_stay_apart,
          File("api/routes.cpp", '#include "scheduler/core/world.hpp"\n')),
    Guard("common/ includes no room", common_knows_no_room, File("common/log.cpp", '#include "api/x.hpp"\n')),
    Guard("pure cores include no I/O", cores_do_no_io, File("scheduler/core/x.cpp", "#include <pqxx/pqxx>\n")),
    Guard("every header has #pragma once", pragma_once, File("api/x.hpp", "struct X {};\n")),
    Guard("every setting is explained in docs/operating.md", settings_are_documented,
          File("api/settings.cpp", '      {"api.secret_switch", "what it does", "", false},\n')),
    Guard("every path that a page names exists", paths_in_pages_exist,
          File("scheduler/README.md", "Decided in `core/nowhere.cpp`.\n")),
    Guard("every page that a source names exists", named_pages_exist, File("api/x.cpp", "/// See docs/nowhere.md.\n")),
    Guard("nothing is left to be done later", no_todo, File("api/x.cpp", "// TODO: later\n")),
]


def tree():
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, check=False)
    if listed.returncode == 0:
        paths = [p for p in listed.stdout.decode().split("\0") if p]
    else:  # an unpacked archive
        paths = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if p.is_file()]
        paths = [p for p in paths if not p.startswith(("build/", ".git/")) and "node_modules/" not in p]
    for path in sorted(set(paths)):
        file = ROOT / path
        if file.is_file() and not file.is_symlink():
            try:
                yield File(path, file.read_text())
            except UnicodeDecodeError:
                continue  # a picture


def main():
    files = list(tree())
    print(f"1..{len(GUARDS)}")
    failed = 0
    for number, guard in enumerate(GUARDS, 1):
        found = [place for file in files for place in guard.check(file)]
        if not guard.check(guard.planted):
            found.append(f"the guard itself no longer notices a planted violation ({guard.planted.path})")
        failed += bool(found)
        for place in found:
            print(f"# {place}")
        print(f"{'not ok' if found else 'ok'} {number} - {guard.sentence}")
    return 1 if failed or not files else 0


if __name__ == "__main__":
    sys.exit(main())
