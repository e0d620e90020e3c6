#!/usr/bin/env bash
# ./dev down ends what was left behind, and says so by its exit code; a test run whose platform left something has failed.
source "$(dirname "$0")/lib.sh"
source dev.d/down.sh
need_root() { :; } # these processes are our own
trap 'end_started; rm -rf "$WORK"' EXIT

STARTED=()
end_started() {
  [ ${#STARTED[@]} -eq 0 ] || kill -KILL "${STARTED[@]}" 2>/dev/null || true
}
DATA=$WORK/data
make_data() { mkdir -p "$DATA" && : >"$DATA/karreg-data"; }
# left_behind SCRIPT: a process as the supervisor starts them.
left_behind() {
  rm -f "$WORK/began"
  KARREG_SUPERVISED=$DATA bash -c "$1" </dev/null >/dev/null 2>&1 &
  STARTED+=($!)
  disown $!
  wait_until 10 test -e "$WORK/began"
}
# down ARGUMENTS...: its exit code; what it says is in $WORK/said.
down() {
  local code=0
  (command_down --data "$DATA" "$@") >"$WORK/said" 2>&1 || code=$?
  echo "$code"
}
said() { grep -qE -- "$1" "$WORK/said" || { sed 's/^/# /' "$WORK/said" && return 1; }; }

make_data
check "nothing left: exit code 0" is 0 "$(down)"
left_behind "touch $WORK/began; sleep 900; :"
left_behind "trap '' TERM; touch $WORK/began; while :; do sleep 900; done"
check "something left: exit code 4" is 4 "$(down --wipe)"
check "which says how many and which" said 'had to end [0-9]+ leftovers:'
check "a stubborn one was named" said 'gets SIGKILL: .*trap'
check "none of them is there any more" none_left "$DATA"
check "the folder is removed all the same" test ! -e "$DATA"

# What a platform left behind, told to the table of a run in which all tests passed.
mkdir -p "$WORK/results"
echo '{"kind": "unit", "seconds": 1, "cases": [{"program": "p", "name": "n", "result": "passed", "detail": ""}]}' >"$WORK/results/unit.json"
report() {
  local code=0
  "$PYTHON" dev.d/run_tests.py report unit --results "$WORK/results" --allowed-skips tests/allowed-skips >"$WORK/said" || code=$?
  echo "$code"
}
check "a run whose tests passed is good" is 0 "$(report)"

RESULTS=$WORK/results LOGS=$WORK/logs
eval "$(sed -n '/^_stop_platforms() {/,/^}/p; /^_keep_logs() {/,/^}/p' dev.d/test.sh)"
mkdir -p "$LOGS" "$DATA/log"
PLATFORMS=("$DATA") PLATFORM_SHAPE=whole
printf '#!/bin/sh\necho "./dev: had to end 1 leftovers:"\nexit 4\n' >"$ROOT/dev"
chmod +x "$ROOT/dev"
_stop_platforms >"$WORK/stopped" 2>&1
check "it is bad when its platform left something" is 1 "$(report)"
check "the table says which platform and where the log is" said '\(whole-1\) did not stop cleanly: logs/platform-whole-1-down.log'
check "the log is kept" grep -q "had to end" "$LOGS/platform-whole-1-down.log"

# A program that was built anew while it runs.
source dev.d/supervisor.sh
cp /bin/sleep "$WORK/program"
"$WORK/program" 900 &
STARTED+=($!)
disown $!
program=$!
runs_it() { [ "$(readlink "/proc/$program/exe")" = "$WORK/program" ]; }
check "a program runs" wait_until 10 runs_it
not_replaced() { ! is_replaced "/proc/$program/exe"; }
check "its file is its own" not_replaced
cp /bin/sleep "$WORK/program.new" && mv "$WORK/program.new" "$WORK/program"
check "a build that puts another file in its place is noticed" is_replaced "/proc/$program/exe"
finish
