#!/usr/bin/env bash
# An application that nobody asks for sleeps, and wakes when requests come, all at once: none is lost, none carried out
# twice. It does not sleep while a request is in hand, and a push replaces what sleeps.
# KARREG_TEST_ROUNDS=N has it sleep and wake N times (default: 1).
source "$(dirname "$0")/lib.sh"

REQUESTS=60
# The shortest that owners can choose, and what proxies and the scheduler need to be sure.
SLEEP_AFTER=60
SURE=$((SLEEP_AFTER + 60))

new_app sleep
new_tree sleep
# Remembers what it was asked, and how often.
sleepy_app() {
  node_app "
const asked = {};
require('http').createServer((q, s) => {
  if (q.url === '/asked') return s.end(JSON.stringify(asked));
  if (q.url === '/slow') return setTimeout(() => s.end('slow\n'), $SURE * 1000);
  let body = '';
  q.on('data', (piece) => (body += piece)).on('end', () => {
    if (body) asked[body] = (asked[body] || 0) + 1;
    s.end('version $1 ' + body + '\n');
  });
}).listen(process.env.PORT, '0.0.0.0', () => console.log('ready'));"
}
sleepy_app 1
push
check "the first version is deployed" succeeds "Successfully deployed"
check "it answers" answers "version 1"
check "fewer than 60 seconds are refused" [ "$(api_status PUT "/v2/self/applications/$APP" '{"sleepAfter": 59}')" = 400 ]
check "its owner lets it sleep" [ "$(api_status PUT "/v2/self/applications/$APP" "{\"sleepAfter\": $SLEEP_AFTER}")" = 200 ]

sleeps() { [ "$(api GET "/v2/self/applications/$APP" | json "['sleep']")" = "$1" ]; }
running() { database "SELECT count(*) FROM instances WHERE app_id = '$APP' AND kind = 'run' AND ended_at IS NULL"; }
runs_nothing() { [ "$(running)" = 0 ]; }

# One POST with a body that no other has; its status and what was answered are in a file of its own.
ask() {
  curl -sS --max-time 120 -o "$WORK/answer.$1" -w '%{http_code}' -H "Host: $HOST" --data "request-$1" \
    "http://127.0.0.1:$KARREG_TEST_PROXY_PORT/" >"$WORK/status.$1" 2>>"$OUT"
}
all_answered() {
  local n
  for n in $(seq "$REQUESTS"); do
    [ "$(cat "$WORK/status.$n")" = 200 ] && grep -q "request-$n\$" "$WORK/answer.$n" || return 1
  done
}
each_once() {
  visit "$HOST" /asked
  /usr/bin/python3 -c "
import json
asked = json.load(open('$OUT'))
assert len(asked) == $REQUESTS and set(asked.values()) == {1}, asked"
}

for round in $(seq "${KARREG_TEST_ROUNDS:-1}"); do
  check "nobody asks: it sleeps (round $round)" wait_until "$SURE" sleeps asleep
  check "nothing of it runs any more" wait_until 60 runs_nothing
  : >"$OUT"
  begun=$(date +%s%N)
  askers=()
  for n in $(seq "$REQUESTS"); do
    ask "$n" &
    askers+=("$!")
  done
  wait "${askers[@]}"
  check "$REQUESTS requests at once wake it, and 0 of them are lost" all_answered
  echo "# they were answered after $((($(date +%s%N) - begun) / 1000000)) ms"
  check "each was carried out once" each_once
  check "it is awake" sleeps awake
done

# Waits until it is asleep, or the time is over: the second is what should be.
stays_awake() { ! wait_until "$1" sleeps asleep; }
curl -sS --max-time $((SURE + 60)) -o "$WORK/slow" -H "Host: $HOST" "http://127.0.0.1:$KARREG_TEST_PROXY_PORT/slow" &
slow=$!
check "a request in hand keeps it awake for longer than its time" stays_awake $((SLEEP_AFTER + 30))
wait "$slow"
check "the slow request is answered" grep -q slow "$WORK/slow"

check "it sleeps again" wait_until "$SURE" sleeps asleep
sleepy_app 2
push
check "a push replaces what sleeps" succeeds "Successfully deployed"
check "the new version answers" answers "version 2"
check "it is awake" sleeps awake
finish
