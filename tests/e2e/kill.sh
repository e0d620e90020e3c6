# What the tests kill_*_test.sh share: kill -9 of each daemon, and of the connections to PostgreSQL and RabbitMQ, at one moment of
# a deployment. It ends in OK or in a stated failure, the old version never stops answering, nothing is left behind.
#
# KARREG_TEST_ROUNDS=N does all of it N times (default: 1).
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/load.sh"

daemon_pid() { timeout 20 /usr/bin/supervisorctl -c "$KARREG_TEST_DATA/supervisor/supervisord.conf" pid "$1"; }
# Each of these fails when there was nothing to kill: what follows would then be true of an undisturbed deployment.
kill_daemon() {
  local pid
  pid=$(daemon_pid "$1" | tee "$OUT")
  # Of a program that does not run supervisord says 0, which kill takes for our own process group.
  [[ "$pid" =~ ^[0-9]+$ ]] && [ "$pid" -gt 1 ] && kill -9 "$pid"
}
kill_postgresql() {
  local ended
  ended=$(database "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE datname = 'karreg' AND pid <> pg_backend_pid()" | tee "$OUT")
  [ "${ended:-0}" -gt 0 ]
}
kill_rabbitmq() {
  (cd / && timeout 60 runuser -u rabbitmq -- "$KARREG_TEST_DATA/rabbitmq/start" /usr/lib/rabbitmq/bin/rabbitmqctl \
    close_all_connections "closed by a test") >"$OUT" 2>&1
}

# is_at MOMENT: waits up to 90 s until the deployment of $COMMIT is there. `build`, `run`: such a VM is placed; `switch`: the
# routes move or the old version drains, which may be over in a few milliseconds, so the database itself looks every 2 ms.
is_at() {
  local there
  case $1 in
    switch) there="EXISTS (SELECT FROM deployments WHERE app_id = '$APP' AND commit_id = '$COMMIT' AND phase = 'switching')
                   OR EXISTS (SELECT FROM instances WHERE app_id = '$APP' AND routed = 'draining' AND ended_at IS NULL)" ;;
    *) there="EXISTS (SELECT FROM instances i JOIN deployments d ON i.deployment = d.uuid
                      WHERE d.app_id = '$APP' AND d.commit_id = '$COMMIT' AND i.kind = '$1')" ;;
  esac
  timeout 120 psql "$(database_url)" --no-psqlrc -v ON_ERROR_STOP=1 -q >"$OUT" 2>&1 <<SQL
DO \$\$ BEGIN
  WHILE NOT ($there) LOOP
    IF EXISTS (SELECT FROM deployments WHERE app_id = '$APP' AND commit_id = '$COMMIT' AND state <> 'WIP') THEN
      RAISE 'the deployment ended before this moment was seen';
    END IF;
    IF clock_timestamp() > now() + interval '90 seconds' THEN RAISE 'this moment did not come within 90 s'; END IF;
    PERFORM pg_sleep(0.002);
  END LOOP;
END \$\$
SQL
}
state() { database "SELECT state FROM deployments WHERE app_id = '$APP' AND commit_id = '$COMMIT'"; }
has_ended() { [[ "$(state)" =~ ^(OK|FAIL|CANCELLED)$ ]]; }
is_ok_or_says_why() {
  case $(state) in
    OK) LIVE=$VERSION ;;
    FAIL) [ -n "$(database "SELECT message FROM deployments WHERE app_id = '$APP' AND commit_id = '$COMMIT'")" ] ;;
    *) return 1 ;;
  esac
}
live_commit() { git -C "$TREE" rev-parse "v$LIVE"; }
live_answers() { answers "^$(live_commit)\$"; }
branch_is_live() { [ "$(git ls-remote "$(git_url)" refs/heads/master | cut -f1)" = "$(live_commit)" ]; }
# is_exactly WHAT WANTED FOUND: the two files of sorted lines are equal; $OUT tells what is too much or missing.
is_exactly() {
  diff -u --label "$1: wanted" --label "$1: found" "$2" "$3" >"$OUT"
}
# commands PROGRAM: command lines of such processes that serve this platform.
commands() { pgrep -af "(^|/)$1" | grep -F "$KARREG_TEST_DATA/"; }
# One instance serves, and the machine has what the database wants, nothing more and nothing less: folders and processes.
nothing_is_left() {
  local agent=$KARREG_TEST_DATA/agent id
  [ "$(database "SELECT count(*) FROM instances WHERE app_id = '$APP' AND ended_at IS NULL" | tee "$OUT")" = 1 ] || return 1
  database "SELECT id FROM instances WHERE wanted AND ended_at IS NULL" | sort >"$WORK/wanted" || return 1
  ls "$agent/vms" | sort >"$WORK/found"
  is_exactly "folders of VMs" "$WORK/wanted" "$WORK/found" || return 1
  commands qemu-system | grep -oE "$agent/vms/[^/]+/scratch" | sed 's|.*/vms/||; s|/scratch$||' | sort -u >"$WORK/found"
  is_exactly "QEMU" "$WORK/wanted" "$WORK/found" || return 1
  # A socket is named after a digest, since its path is bounded (hypervisor-agent/files.cpp).
  while read -r id; do printf %s "$id" | sha256sum | cut -c1-12; done <"$WORK/wanted" | sort >"$WORK/sockets"
  commands passt | grep -oE "$agent/s/[0-9a-f]+\.net" | sed 's|.*/||; s|\.net$||' | sort -u >"$WORK/found"
  is_exactly "passt" "$WORK/sockets" "$WORK/found" || return 1
  database "SELECT id FROM builds WHERE state NOT IN ('succeeded', 'failed')" | sort >"$WORK/wanted" || return 1
  ls "$KARREG_TEST_DATA/builds" | sort >"$WORK/found"
  is_exactly "folders of builds" "$WORK/wanted" "$WORK/found"
}

# begins MOMENT: a new version is pushed, by $PUSHER.
begins() {
  VERSION=$((VERSION + 1))
  # Of an equal tree there is an artifact already, so only where a build is to be hit the tree changes.
  [ "$1" != build ] || echo "$OWN $VERSION" >"$TREE/changed"
  git -C "$TREE" add -A && git -C "$TREE" commit -qm "version $VERSION" --allow-empty && git -C "$TREE" tag "v$VERSION"
  COMMIT=$(git -C "$TREE" rev-parse HEAD)
  timeout 180 git -C "$TREE" push "$(git_url)" +HEAD:master >"$WORK/pushed" 2>&1 </dev/null &
  PUSHER=$!
}
# begins_until MOMENT: it is there, and the deployment goes on. Routes move within milliseconds, in which a busy machine may not
# look once: a deployment that went well unhit is none, and the next one is tried.
begins_until() {
  local tries
  for tries in 1 2 3; do
    begins "$1"
    ! is_at "$1" || return 0
    grep -q "ended before this moment was seen" "$OUT" && wait "$PUSHER" && is_ok_or_says_why || return 1
  done
  return 1
}

# survives VICTIM KILL MOMENT: a deployment during which the victim dies once MOMENT is reached.
survives() {
  local victim=$1 strike=$2 moment=$3 when
  case $moment in
    build) when="it builds" ;;
    run) when="the new version boots" ;;
    switch) when="the routes move" ;;
  esac
  check "a deployment is there to be hit while $when" begins_until "$moment"
  check "$victim is hit" $strike
  check "$victim killed while $when: the deployment ends" wait_until 150 has_ended
  # The pusher sees the end too, or learns that its connection broke; it never hangs.
  wait "$PUSHER"
  cp "$WORK/pushed" "$OUT"
  check "in OK, or in a failure that says why ($(state))" is_ok_or_says_why
  check "and what is live answers" wait_until 30 live_answers
  check "the branch is at what is live" wait_until 30 branch_is_live
  check "and nothing is left behind" wait_until 60 nothing_is_left  # a builder sweeps every 10 s
}

# all_killed_at MOMENT: the whole test file.
all_killed_at() {
  local moment=$1 daemon round
  new_app kill
  new_tree kill
  # In no other tree, so that no artifact of an equal build stands in for the build that is to be hit.
  OWN=kill-$$-$RANDOM
  VERSION=0 LIVE=0
  # A site: with a Node app, which has to start in each VM, the whole takes nearly twice as long. The page says which version it is.
  echo "no version yet" >"$TREE/index.html"
  set_env CC_PRE_RUN_HOOK 'echo $COMMIT_ID >index.html'
  push
  git -C "$TREE" tag v0
  check "the first version is deployed" succeeds "Successfully deployed"

  for round in $(seq "${KARREG_TEST_ROUNDS:-1}"); do
    begin_load --connections 4 --rate 50 --seconds 3600
    check "a load runs (round $round)" wait_until 30 load_says "v['requests'] >= 50"
    for daemon in api scheduler builder agent; do survives "karreg-$daemon" "kill_daemon $daemon" "$moment"; done
    survives "PostgreSQL's connections" kill_postgresql "$moment"
    survives "RabbitMQ's connections" kill_rabbitmq "$moment"
    end_load
    check "through all of this 0 of $(load_value "v['requests']") requests were lost" load_says "v['errors'] == 0"
    # The only proxy of a machine cannot answer while it is dead: what counts is that it comes back with its routes.
    survives karreg-proxy "kill_daemon proxy" "$moment"
  done
  finish
}
