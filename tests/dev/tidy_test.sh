#!/usr/bin/env bash
# ./dev tidy reads files together: what it finds is told with its own place, and what it could not read is not called clean.
source "$(dirname "$0")/lib.sh"
trap 'rm -rf "$WORK"' EXIT
TREE=$WORK/tree
mkdir -p "$TREE/room" "$TREE/build/debug"
printf "Checks: '-*,modernize-use-nullptr'\nWarningsAsErrors: '*'\n" >"$TREE/.clang-tidy"

# file NAME TEXT: a source of the tree.
file() { printf '%s\n' "$2" >"$TREE/room/$1"; }
# tidy [FILTER]: the exit code; what it said is in $WORK/said.
tidy() {
  local code=0
  (cd "$TREE" && "$PYTHON" - <<'PY'
import json, os, pathlib
root = os.getcwd()
commands = [{"file": str(f), "directory": root, "command": f"clang++-19 -std=c++2b -I{root} -o {f.stem}.o -c {f}"}
            for f in sorted(pathlib.Path(root, "room").glob("*.cpp"))]
pathlib.Path("build/debug/compile_commands.json").write_text(json.dumps(commands))
PY
  )
  (cd "$TREE" && "$PYTHON" -B "$SOURCE/dev.d/tidy.py" debug 2 "$WORK/log" "${1:-}") >"$WORK/said" 2>&1 || code=$?
  echo "$code"
}
# without_clang_tidy FILTER: tidy, on a machine that has none.
without_clang_tidy() {
  mkdir -p "$WORK/bin" && ln -sf "$(command -v clang++-19)" "$WORK/bin/" && PATH=$WORK/bin tidy "$1"
}
said() { grep -qE -- "$1" "$WORK/said" || { sed 's/^/# /' "$WORK/said" && return 1; }; }
said_nothing_of() { ! grep -qF -- "$1" "$WORK/said"; }

file own.hpp $'#pragma once\ninline int seven() { return 7; }'
file a.cpp $'#include "own.hpp"\nint a() { return seven(); }'
file b.cpp $'#include "own.hpp"\nint b() { return seven(); }'
check "a tree without a finding is good" is 0 "$(tidy)"
check "its files are read together" test "$(ls "$TREE/build/tidy/debug")" = 1.cpp
file b.cpp $'#include "own.hpp"\n\nint* b() { return 0; }'
check "a finding is bad" is 4 "$(tidy)"
check "and told with its file and line" said '^room/b\.cpp:3:[0-9]+: error: use nullptr'
check "a filter leaves the others out" is 0 "$(tidy room/a)"
file c.cpp $'namespace { int same = 1; }\nint c() { return same; }'
file d.cpp $'namespace { int same = 2; }\nint* d() { return same == 2 ? 0 : nullptr; }'
check "files whose names collide are read apart" is 4 "$(tidy)"
check "and are still checked" said '^room/d\.cpp:2:[0-9]+: error: use nullptr'
check "without a word of the collision" said_nothing_of redefinition
file e.cpp 'int e() { return seven(); }'
check "a file that does not compile is bad" is 4 "$(tidy room/e)"
check "and says why" said '^room/e\.cpp:1:[0-9]+: error: .*clang-diagnostic-error'
check "a clang-tidy that does not run is not called clean" is 3 "$(without_clang_tidy room/a)"
check "and told" said 'room/a\.cpp: .*clang-tidy-19'
check "a filter that nothing matches is a wrong use" is 2 "$(tidy nowhere)"
check "and said" said 'no C\+\+ file has "nowhere" in its path'
finish
