#!/usr/bin/env bash
# An interrupted ./dev leaves nothing running: neither the tool whose output it logs nor the tests that it runs, whatever these
# have started in the background, and whether they mind a signal or not.
source "$(dirname "$0")/lib.sh"
trap 'end_marked; rm -rf "$WORK"' EXIT

# What the tools of these tests start names its folder in its environment, and is found by it.
export KARREG_DEV_TEST=$WORK
marked() { grep -lzxF "KARREG_DEV_TEST_TOOL=$WORK" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3; }
none_marked() { [ -z "$(marked)" ]; }
end_marked() {
  local pid
  for pid in $(marked); do kill -KILL "$pid" 2>/dev/null || true; done
}
exists() { [ -e "$WORK/$1" ]; }

# script NAME: made executable, from standard input.
script() {
  mkdir -p "$(dirname "$WORK/$1")"
  cat >"$WORK/$1"
  chmod +x "$WORK/$1"
}

# A tool with a child in the background, one in a process group of its own, and one that minds no SIGTERM.
script busy <<'TEXT'
#!/usr/bin/env bash
export KARREG_DEV_TEST_TOOL=$KARREG_DEV_TEST
bash -c 'sleep 900' &
timeout 900 bash -c 'exec sleep 900' &
bash -c 'trap "" TERM; touch "$KARREG_DEV_TEST/busy.began"; while :; do sleep 900; done' &
bash -c 'sleep 900'
TEXT
script dev_with <<'TEXT'
#!/usr/bin/env bash
set -euo pipefail
ROOT=$KARREG_DEV_TEST
source "$SOURCE/dev.d/lib.sh"
cleaned_up() { echo x >>"$ROOT/cleaned_up"; }
at_exit cleaned_up
run_logged "$1" "running $1" "${@:2}"
echo "went on" >>"$ROOT/went_on"
TEXT
export SOURCE KARREG_DEV_PATIENCE=2

# interrupted SIGNAL CODE COMMAND...: starts it, waits until `busy` is at work, sends the signal; it ends with the code.
interrupted() {
  local signal=$1 wanted=$2 pid code=0
  shift 2
  rm -f "$WORK/busy.began" "$WORK/cleaned_up" "$WORK/went_on"
  # Job control, as in a terminal: without it a shell's background job minds no SIGINT.
  set -m
  "$@" >"$WORK/out" 2>&1 </dev/null &
  pid=$!
  set +m
  wait_until 30 exists busy.began || { sed 's/^/# /' "$WORK/out" && return 1; }
  kill -s "$signal" "$pid"
  wait_until 30 process_is_gone "$pid" || { echo "# it did not end" && kill -KILL "$pid" && return 1; }
  wait "$pid" || code=$?
  is "$wanted" "$code" || { sed 's/^/# /' "$WORK/out" && return 1; }
}
process_is_gone() { ! kill -0 "$1" 2>/dev/null; }

check "SIGINT ends ./dev with 130" interrupted INT 130 "$WORK/dev_with" tool "$WORK/busy"
check "nothing of the tool is left" none_marked
check "what ./dev must put back, it puts back, once" is x "$(cat "$WORK/cleaned_up" 2>/dev/null)"
check "it does not go on" is "" "$(cat "$WORK/went_on" 2>/dev/null)"
end_marked
check "SIGTERM ends ./dev with 143" interrupted TERM 143 "$WORK/dev_with" tool "$WORK/busy"
check "nothing of the tool is left then either" none_marked
end_marked
check "SIGINT ends a ./dev that runs another ./dev" interrupted INT 130 \
  env KARREG_DEV_PATIENCE=8 "$WORK/dev_with" outer "$WORK/dev_with" inner "$WORK/busy"
check "nothing of the inner one's tool is left" none_marked
check "both have put back what they must" is $'x\nx' "$(cat "$WORK/cleaned_up" 2>/dev/null)"
end_marked

code_of() { local code=0; "$@" >/dev/null 2>&1 || code=$?; echo "$code"; }
check "the exit code of a tool is the exit code of its ./dev" is 7 "$(code_of "$WORK/dev_with" fails bash -c 'exit 7')"
check "also through a ./dev in between" is 9 "$(code_of "$WORK/dev_with" outer "$WORK/dev_with" fails bash -c 'exit 9')"
check "success is success" is 0 "$(code_of "$WORK/dev_with" works true)"
traps_kept() {
  local kept
  kept=$(bash -c 'ROOT=$KARREG_DEV_TEST; source "$SOURCE/dev.d/lib.sh"; trap "exit 9" TERM; run_logged quick q true; trap -p TERM')
  grep -qF 'exit 9' <<<"$kept"
}
check "a caller's own traps are there again afterwards" traps_kept

# The runner of tests, in a project of its own with end-to-end files only.
mkdir -p "$WORK/dev.d" "$WORK/results"
cp dev.d/run_tests.py "$WORK/dev.d/"
script tests/e2e/a_passes_test.sh <<'TEXT'
#!/usr/bin/env bash
echo "ok 1 - a first one"
TEXT
script tests/e2e/b_busy_test.sh <<'TEXT'
#!/usr/bin/env bash
echo "ok 1 - seen before the interrupt"
"$KARREG_DEV_TEST/busy"
TEXT
script tests/e2e/c_queued_test.sh <<'TEXT'
#!/usr/bin/env bash
touch "$KARREG_DEV_TEST/queued.ran"
echo "ok 1 - never"
TEXT
# The patience with what minds no signal is a minute there; a test need not wait for it.
sed -i 's/^PATIENCE = .*/PATIENCE = 2.0/' "$WORK/dev.d/run_tests.py"
runner=("$PYTHON" "$WORK/dev.d/run_tests.py" run e2e --preset none --results "$WORK/results")
results() {
  "$PYTHON" -c 'import json, sys
for c in json.load(open(sys.argv[1]))["cases"]: print(c["program"].split("/")[1], c["result"], c["name"])' "$WORK/results/e2e.json"
}
# As ./dev test runs it: the signal reaches only the shell.
script test_kind <<'TEXT'
#!/usr/bin/env bash
set -euo pipefail
ROOT=$KARREG_DEV_TEST
cd "$SOURCE"
source dev.d/lib.sh
source dev.d/test.sh
cd "$ROOT"
_run_kinds "$@"
TEXT
through_dev=("$WORK/test_kind" "${runner[@]:3}")
ends_the_tests() { # SIGNAL COMMAND...
  rm -f "$WORK/results/e2e.json"
  check "it ends with 130 on SIG$1" interrupted "$1" 130 "${@:2}"
  check "nothing of the tests is left" none_marked
  check "the tests that waited do not run" is "" "$(ls "$WORK/queued.ran" 2>/dev/null)"
  check "what is known is written" is "a_passes_test.sh passed a first one
b_busy_test.sh passed seen before the interrupt
b_busy_test.sh failed e2e/b_busy_test.sh" "$(results)"
  end_marked
}
ends_the_tests INT "${runner[@]}"
ends_the_tests TERM "${runner[@]}"
ends_the_tests INT "${through_dev[@]}"
ends_the_tests TERM "${through_dev[@]}"
sed -i 's/^SCRIPT_LIMIT = .*/SCRIPT_LIMIT = 1.0/' "$WORK/dev.d/run_tests.py"
rm "$WORK/queued.ran" 2>/dev/null || true
check "a test over its time limit is a failure" is 1 "$(code_of "${runner[@]}")"
check "nothing of it is left" none_marked
check "and the next one runs" exists queued.ran
finish
