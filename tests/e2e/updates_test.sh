#!/usr/bin/env bash
# Security updates reach the apps (docs/updates.md): a newer image marks the apps on the older one and tells their owner; a roll
# brings them onto it, one after the other and without a build; one that does not work on the next image stops the roll.
# On a platform of its own with a store of its own, whose runtime `static` has a package more each time it is made.
source "$(dirname "$0")/own_platform.sh"
origin=${KARREG_CACHE_DIR:-/var/cache/karreg}/images store=$PLACE/cache/images listener=
stop_more() { [ -z "$listener" ] || kill "$listener" 2>/dev/null; }

# The store has the kernel and the templates of the usual one, and no runtime yet.
install -d -m 755 "$PLACE/cache" "$store" "$store/blobs" "$store/manifests" "$store/recipes" "$store/logs"
cp -r "$root/images" "$PLACE/images"
/usr/bin/python3 - "$origin" "$store" <<'PY' || exit 1
import json, os, pathlib, sys
sys.path.insert(0, str(pathlib.Path(sys.argv[2]).parents[1] / "images"))
from karreg_images.catalogue import digests, load_catalogue
origin, store = map(pathlib.Path, sys.argv[1:])
catalogue = load_catalogue(origin) | {"runtimes": {}}
for digest in digests(catalogue):
    os.link(origin / "blobs" / digest, store / "blobs" / digest)
(store / "catalogue.json").write_text(json.dumps(catalogue))
PY
# make_image [PACKAGE...]: the runtime `static`, made of its recipe and these packages. No app here is built by a generator of sites.
make_image() {
  /usr/bin/python3 - "$root/images/runtimes/static.json" "$PLACE/images/runtimes/static.json" "$@" <<'PY'
import json, pathlib, sys
recipe = json.loads(pathlib.Path(sys.argv[1]).read_text())
pathlib.Path(sys.argv[2]).write_text(json.dumps(recipe | {"run": recipe["run"] + sys.argv[3:], "build": []}))
PY
  timeout 900 "$PLACE/images/build" add static --out "$store" >"$PLACE/log" 2>&1
}
make_image || bail "the first image could not be made" "$PLACE/log"
KARREG_CACHE_DIR=$PLACE/cache own_platform --throw-away

ERR=$WORK/err
karreg() {
  CODE=0
  KARREG_API_HOST=$KARREG_TEST_API KARREG_TOKEN=$(user api_token) timeout "${LIMIT:-60}" \
    "$KARREG_TEST_BIN/karreg" "$@" >"$OUT" 2>"$ERR" </dev/null || CODE=$?
}
exits_with() { [ "$CODE" -eq "$1" ] || { cat "$ERR" >>"$OUT"; false; }; }
noted() { grep -qE -- "$1" "$ERR" || { cat "$ERR" >>"$OUT"; false; }; }
current() { json "['runtimes']['static']['run']['digest']" <"$store/catalogue.json"; }
# image_of APP: that the version in service runs on.
image_of() { database "SELECT d.run_image FROM apps a JOIN deployments d ON d.uuid = a.serving_deployment WHERE a.id = '$1'"; }
# boots APP IMAGE: the virtual machine that serves it has this image for a disk.
boots() {
  database "SELECT id FROM instances WHERE app_id = '$1' AND kind = 'run' AND routed = 'yes'" >"$WORK/vm"
  [ -s "$WORK/vm" ] || return 1
  # Processes that end meanwhile are an error for grep: what it found counts.
  grep -lFf "$WORK/vm" /proc/[0-9]*/cmdline 2>/dev/null | xargs -r grep -lF "/blobs/$2" >"$OUT" 2>/dev/null
  [ -s "$OUT" ]
}
builds() { database "SELECT count(*) FROM builds"; }
build_vms() { database "SELECT count(*) FROM instances WHERE kind = 'build'"; }
serves_on() { visit "$1" && succeeds "^$2\$"; }
log_of() { karreg logs --app "$1" --since 1h && said "$2"; }
told() { [ "$(grep -c "^IMAGE_OUTDATED .*$1" "$WORK/events")" = "$2" ]; }
step_of() { database "SELECT step FROM roll_apps WHERE app_id = '$1' AND roll_id = (SELECT id FROM rolls ORDER BY requested_at DESC LIMIT 1)"; }

# deploy NAME LINE: an app that says on which image it answers, after LINE of shell; its id in $APP, its host name in $HOST.
deploy() {
  new_app "$1"
  new_tree "$1"
  echo "the page of before it starts" >"$TREE/index.html"
  cat >"$TREE/start" <<SH
$2
echo "\$(ls /usr/bin/time /usr/bin/tree 2>/dev/null | xargs -r -n1 basename | xargs) image" >index.html
exec /usr/lib/karreg/serve-static
SH
  set_env CC_RUN_COMMAND "exec sh start"
  push
}
first=$(current)
deploy apple 'test ! -e /usr/bin/tree || { echo "this app cannot bear trees"; exit 3; }'
apple=$APP apple_host=$HOST
check "the first app is deployed" succeeds "Successfully deployed"
deploy banana ''
banana=$APP banana_host=$HOST
check "the second app is deployed" succeeds "Successfully deployed"
check "both run on the first image" test "$(image_of "$apple") $(image_of "$banana")" = "$first $first"
check "and answer on it" serves_on "$apple_host" " image"
check "which its virtual machine boots" boots "$apple" "$first"
karreg images outdated
check "no app is outdated" exits_with 0
karreg images roll
check "so there is nothing to roll" exits_with 6

/usr/bin/python3 "$(dirname "$0")/hear_events.py" "${KARREG_TEST_API##*:}" "$(user api_token)" >"$WORK/events" 2>&1 &
listener=$!
check "the owner listens" wait_until 20 grep -q socket_ready "$WORK/events"
make_image time || bail "the second image could not be made" "$PLACE/log"
second=$(current)
check "the second image is another one" test "$first" != "$second"
is_outdated() { karreg images outdated && false; [ "$CODE" -eq 10 ]; }
check "the apps are outdated as soon as it is there" wait_until 20 is_outdated
check "with the package that differs, and without a build" said "^apple-.* \(static\): ${first:0:12} -> ${second:0:12}, 1 package differs, no build needed"
check "which is named" said "^    time  - -> 1\."
check "the owner is told of the first app" wait_until 20 told "$apple" 1
check "and of the second" wait_until 20 told "$banana" 1
check "in the log of the app, too" wait_until 20 log_of "$apple" "There is a newer image of static"
BUILDS=$(builds) BUILD_VMS=$(build_vms)

LIMIT=300 karreg images roll --wave 1 --follow
check "a roll in waves of one app brings them onto it" exits_with 0
check "one after the other" noted "wave 2 of 2: banana-[0-9]+ done"
apart="SELECT a.ended_at <= b.requested_at FROM deployments a, deployments b WHERE a.app_id = '$apple' AND b.app_id = '$banana' AND a.cause = 'New image' AND b.cause = 'New image'"
check "the second began when the first was in service" test "$(database "$apart")" = t
check "both run on the second image" test "$(image_of "$apple") $(image_of "$banana")" = "$second $second"
check "the first answers on it" serves_on "$apple_host" "time image"
check "the second, too" serves_on "$banana_host" "time image"
check "their virtual machines boot it" boots "$apple" "$second"
check "no build was made for it" test "$(builds) $(build_vms)" = "$BUILDS $BUILD_VMS"
karreg images outdated
check "no app is outdated any more" exits_with 0
karreg images status
check "the roll is shown as done" said "^Roll roll_.*: done, 2 apps in 2 waves"

make_image time tree || bail "the third image could not be made" "$PLACE/log"
third=$(current)
check "a third image outdates them again" wait_until 20 is_outdated
# Killed in the middle of the roll, the scheduler goes on where the database says.
begin_roll() { karreg images roll --wave 1 && [ "$CODE" -eq 0 ]; }
check "a roll begins" begin_roll
is_deploying() { [ "$(step_of "$apple")" = deploying ]; }
check "its first wave is under way" wait_until 60 is_deploying
scheduler_pid() { timeout 20 /usr/bin/supervisorctl -c "$data/supervisor/supervisord.conf" pid scheduler; }
PID=$(scheduler_pid)
kill_scheduler() { [[ "$PID" =~ ^[0-9]+$ ]] && [ "$PID" -gt 1 ] && kill -9 "$PID"; }
check "the scheduler is killed" kill_scheduler
is_back() { local pid; pid=$(scheduler_pid) && [[ "$pid" =~ ^[0-9]+$ ]] && [ "$pid" -gt 1 ] && [ "$pid" != "$PID" ]; }
check "and is back" wait_until 60 is_back
LIMIT=300 karreg images status --follow
check "the app that does not work on it stops the roll" exits_with 1
check "after the first wave, with the reason" said "^Roll roll_.*: stopped, 2 apps in 2 waves"
check "which is the app's own" said "1 +apple-[0-9]+ +failed +instance 0 did not start"
check "the other app is untouched" said "2 +banana-[0-9]+ +untouched"
check "the app that failed stays on what it had" test "$(image_of "$apple")" = "$second"
check "and answers" serves_on "$apple_host" "time image"
check "so does the other" serves_on "$banana_host" "time image"
check "nothing was deployed of it" test "$(database "SELECT count(*) FROM deployments WHERE app_id = '$banana'")" = 2
check "still no build was made" test "$(builds) $(build_vms)" = "$BUILDS $BUILD_VMS"
check "each was told once of each image" test "$(database "SELECT count(*) FROM image_news")" = 4
check "which the socket says, too" wait_until 20 told "$apple" 2

LIMIT=300 karreg images roll --app "$banana" --follow
check "the other app is rolled by itself" exits_with 0
check "and answers on the third image" serves_on "$banana_host" "time tree image"
check "which its virtual machine boots" boots "$banana" "$third"
finish
