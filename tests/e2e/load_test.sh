#!/usr/bin/env bash
# A new version replaces the old one under load, three times: not one request is lost, none carried out twice. Among them
# are slow ones, POSTs, uploads and WebSockets, which are in hand when the switch comes.
# Alone: a neighbour's work would show as slow answers, which are lost after their time limit.
# KARREG_TEST_ROUNDS=N does it N times three times (default: 1).
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/load.sh"

REQUESTS=5000
new_app load
new_tree load
loaded_app() { node_app "const version = '$1'"$'\n'"$(cat "$ROOT/tests/e2e/load_app.js")"; }
loaded_app 'version 0'
push
check "the first version is deployed" succeeds "Successfully deployed"

gone_but_one() { [ "$(database "SELECT count(*) FROM instances WHERE app_id = '$APP' AND kind = 'run' AND ended_at IS NULL")" = 1 ]; }

for version in $(seq $((3 * ${KARREG_TEST_ROUNDS:-1}))); do
  # Runs until it is told to end: the switch must fall into it, however slow the machine is.
  begin_load --connections 16 --rate 250 --slow /slow --posts /posts --websockets /echo --seconds 600
  check "the old version answers the load of switch $version" wait_until 30 load_says "v['requests'] >= 500"
  loaded_app "version $version"
  push
  check "version $version is deployed under load" succeeds "Successfully deployed"
  check "the load meets version $version" wait_until 60 load_says "v['versions'].get('$version', {'requests': 0})['requests'] >= 1000"
  check "the instance of the old version ends while the load goes on" wait_until 60 gone_but_one
  check "at least $REQUESTS requests were sent" wait_until 120 load_says "v['requests'] >= $REQUESTS"
  check "at least 20 slow answers, 100 POSTs, 50 uploads and 100 messages of WebSockets are among them" wait_until 120 \
    load_says "all(v['kinds'].get(k, 0) >= n for k, n in {'slow': 20, 'post': 100, 'upload': 50, 'websocket': 100}.items())"
  end_load
  check "0 of $(load_value "v['requests']") requests were lost in switch $version" load_says "v['errors'] == 0"
  check "no POST was carried out twice" load_says "v['doubled'] == 0"
  echo "# $(load_value "'%d requests, %d lost, p50 %s ms, p99 %s ms, longest pause %s ms' % (v['requests'], v['errors'], v['p50_ms'], v['p99_ms'], v['longest_pause_ms'])")"
done
finish
