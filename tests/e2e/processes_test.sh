#!/usr/bin/env bash
# What runs besides the web process: workers, the release command, crons, one-off tasks (docs/processes.md).
source "$(dirname "$0")/lib.sh"

# karreg WORDS...: the command line of the test's user; output in $OUT, errors in $ERR, exit code in $CODE.
ERR=$WORK/err
karreg() {
  CODE=0
  KARREG_API_HOST=$KARREG_TEST_API KARREG_TOKEN=$(user api_token) timeout "${LIMIT:-120}" \
    "$KARREG_TEST_BIN/karreg" "$@" >"$OUT" 2>"$ERR" </dev/null || CODE=$?
}
exits_with() { [ "$CODE" -eq "$1" ] || { cat "$ERR" >>"$OUT"; false; }; }
jobs_of() { database "SELECT $2 FROM jobs WHERE app_id = '$APP' AND kind = '$1'"; }
database_says() { [ "$(database "$2")" = "$1" ]; }
log_has() { karreg logs --app "$APP" --since 1h && said "$1"; }

new_app processes
new_tree processes
node_app "$(serving blue)
console.log('instance', process.env.INSTANCE_TYPE);"
cat >"$TREE/Procfile" <<'PROCFILE'
web: node server.js
release: echo "releasing $COMMIT_ID as $JOB_KIND" && test ! -e fail-the-release
worker: node worker.js
PROCFILE
cat >"$TREE/worker.js" <<'JS'
console.log('the worker is up');
setInterval(() => {}, 1000);
JS
cat >"$TREE/karreg.toml" <<'TOML'
[[cron]]
schedule = "* * * * *"
command = "echo cron ran as $JOB_KIND beside $(ls package.json)"
TOML
push
check "an app with a worker, a release command and a cron is deployed" succeeds "Successfully deployed"
check "the plan says what runs besides" said "worker"
check "the release command has run once, before the instances" test "$(jobs_of release "string_agg(state || exit_code, ',')")" = succeeded0
check "its output is in the push" said "releasing $(git -C "$TREE" rev-parse HEAD) as release"
check "the web process answers" answers "blue"
check "the worker runs beside it" wait_until 30 log_has "\[worker\] the worker is up"

karreg scale --app "$APP" --instances 2
check "the app is scaled to two instances" wait_until 120 database_says 2 "SELECT count(*) FROM instances WHERE app_id = '$APP' AND kind = 'run' AND healthy AND wanted"
check "and nothing is released again" test "$(jobs_of release 'count(*)')" = 1

karreg run --app "$APP" -- sh -c 'echo "from $(pwd)"; echo "a warning" >&2; exit 7'
check "a task has the exit code of its command" exits_with 7
check "and prints what that prints" test "$(cat "$OUT")" = "from /app"
check "errors among the errors" grep -q "a warning" "$ERR"
karreg run --app "$APP" 'test "$INSTANCE_TYPE" = task && node -e "console.log(1 + 1)"'
check "a task has the runtime of its app" test "$CODE $(cat "$OUT")" = "0 2"
karreg run --app "$APP" --time-limit 2s -- tail -f server.js
check "a task that takes too long is ended" exits_with 143
check "and says so" grep -q "its time limit of 2 s was reached" "$ERR"

TASK=$(KARREG_API_HOST=$KARREG_TEST_API KARREG_TOKEN=$(user api_token) "$KARREG_TEST_BIN/karreg" run --app "$APP" --detach -- tail -f server.js)
check "a task goes on by itself" wait_until 60 database_says starting "SELECT phase FROM instances WHERE job_id = '$TASK'"
karreg jobs stop --app "$APP" "$TASK"
check "until it is stopped" wait_until 60 database_says cancelled "SELECT state FROM jobs WHERE id = '$TASK'"
check "and its VM goes" wait_until 60 database_says 0 "SELECT count(*) FROM instances WHERE job_id = '$TASK' AND ended_at IS NULL"

cron_runs() { [ "$(jobs_of cron "count(*) FILTER (WHERE state = 'succeeded')")" -ge "$1" ]; }
check "the cron runs every minute" wait_until 200 cron_runs 2
check "once a time, though there are two instances" test "$(jobs_of cron "count(*) = count(DISTINCT due)")" = t
check "never at once with itself" test "$(database "SELECT count(*) FROM jobs a JOIN jobs b ON a.app_id = b.app_id AND a.id < b.id WHERE a.app_id = '$APP' AND a.kind = 'cron' AND b.kind = 'cron' AND tstzrange(a.started_at, a.ended_at) && tstzrange(b.started_at, b.ended_at)")" = 0
check "its output is in the log" log_has "\[job\] cron ran as cron beside package.json"
karreg cron --app "$APP"
check "its next and its last run are shown" said '\* \* \* \* \* +20.* succeeded +echo cron ran'
karreg jobs list --app "$APP" --kind cron
check "and its history" said "cron +succeeded"

touch "$TREE/fail-the-release"
node_app "$(serving green)"
push
check "a release command that fails fails the deployment" fails "the release command did not succeed: the command exited with 1"
check "and the version before it goes on serving" answers "blue"
git -C "$TREE" rm -q fail-the-release
node_app "$(serving green)"
sed -i '/^release/d' "$TREE/Procfile"
rm "$TREE/karreg.toml"
push
check "a version without them is deployed" succeeds "Successfully deployed"
check "and serves" answers "green"
karreg cron --app "$APP"
check "its app has no cron any more" grep -q "has no cron" "$ERR"

karreg stop --app "$APP"
check "the app stops" wait_until 60 database_says 0 "SELECT count(*) FROM instances WHERE app_id = '$APP' AND ended_at IS NULL"
karreg run --app "$APP" -- cat server.js
check "a task of an app that is stopped runs from what served last" said "green"
finish
