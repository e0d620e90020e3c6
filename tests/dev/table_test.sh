#!/usr/bin/env bash
# The table of ./dev test: when it is good, with and without a filter; how long a file may take.
source "$(dirname "$0")/lib.sh"
trap 'rm -rf "$WORK"' EXIT
mkdir -p "$WORK/results"

# results KIND RESULT...: what a kind has written.
results() {
  "$PYTHON" -c 'import json, sys
cases = [{"program": "p", "name": f"case {n}", "result": r, "detail": ""} for n, r in enumerate(sys.argv[2:])]
print(json.dumps({"kind": sys.argv[1], "seconds": 1, "cases": cases}))' "$@" >"$WORK/results/$1.json"
}
# table ARGUMENTS...: the exit code; the table is in $WORK/said.
table() {
  local code=0
  "$PYTHON" dev.d/run_tests.py report --results "$WORK/results" --allowed-skips tests/allowed-skips "$@" >"$WORK/said" || code=$?
  echo "$code"
}
said() { grep -qF -- "$1" "$WORK/said" || { sed 's/^/# /' "$WORK/said" && return 1; }; }

results unit passed passed
results e2e
check "a kind in which no test ran is bad" is 1 "$(table unit e2e)"
check "and named" said "e2e: no test ran"
check "with a filter, one kind with a match is enough" is 0 "$(table --filter kill unit e2e)"
check "the last line counts" is "2 passed, 0 failed, 0 skipped" "$(tail -n 1 "$WORK/said")"
check "a filter that nothing matches is bad" is 1 "$(table --filter kill e2e)"
check "and said" said 'no program of these kinds has "kill" in its name'
results e2e passed failed
check "a failed test is bad, filter or not" is 1 "$(table --filter kill unit e2e)"
results e2e passed skipped
check "a skip is good" is 0 "$(CI=false table unit e2e)"
check "but not in CI, unless it is allowed" is 1 "$(CI=true table unit e2e)"

check "the names of a kind, by a filter" is e2e/kill_run_test.sh "$("$PYTHON" dev.d/run_tests.py names e2e --preset none --filter kill_run)"
limit() { KARREG_TEST_ROUNDS=$1 "$PYTHON" -B -c 'import sys; sys.path.insert(0, "dev.d"); import run_tests; print(run_tests.SCRIPT_LIMIT)'; }
check "a file may take its time once" is 1800.0 "$(limit '')"
check "and ten times that for ten rounds" is 18000.0 "$(limit 10)"
finish
