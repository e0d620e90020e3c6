# A steady load on $HOST beside what a test does, its sums at any moment, and its end whatever happens.
# Sourced after lib.sh by the tests that put a load on.

LOAD_PID=
# begin_load OPTION...: runs until end_load, or as long as the option --seconds says; the options are those of steady_load.py.
begin_load() {
  rm -f "$WORK/load.json"
  /usr/bin/python3 "$ROOT/tests/tools/steady_load.py" "http://$HOST:$KARREG_TEST_PROXY_PORT/" --out "$WORK/load.json" "$@" \
    >"$WORK/load.log" 2>&1 &
  LOAD_PID=$!
}
# Its last sums are then the detail of a check that fails.
end_load() {
  [ -n "$LOAD_PID" ] || return 0
  kill "$LOAD_PID" 2>/dev/null && wait "$LOAD_PID"
  LOAD_PID=
  cp "$WORK/load.json" "$OUT" 2>/dev/null || true
}
trap 'end_load; clean_up' EXIT

# load_value EXPRESSION: Python's, of the sums in v; load_says: whether such a one is true.
load_value() { /usr/bin/python3 -c "import json; v = json.load(open('$WORK/load.json')); print($1)"; }
load_says() { [ "$(load_value "$1" 2>/dev/null)" = True ]; }
