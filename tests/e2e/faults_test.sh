#!/usr/bin/env bash
# Bad input and failing apps: the pusher learns what happened and what to do, and the old version keeps serving.
#
# KARREG_TEST_ROUNDS=N does all of it N times (default: 1).
source "$(dirname "$0")/lib.sh"

declare -A ASIDE_APP ASIDE_HOST ASIDE_PUSH
trap 'end_asides; clean_up' EXIT
end_asides() { [ "${#ASIDE_PUSH[@]}" -eq 0 ] || { kill "${ASIDE_PUSH[@]}" 2>/dev/null && wait "${ASIDE_PUSH[@]}"; }; }

# aside NAME: an app of its own, whose old version is that of $WORK/$round/good; $APP, $HOST and $TREE are its now.
aside() {
  ASIDE=$1
  new_app "$1-$round"
  ASIDE_APP[$1]=$APP ASIDE_HOST[$1]=$HOST
  TREE=$WORK/$round/good
  push
  check "a good version is deployed before the one that is $1" succeeds "Successfully deployed"
  new_tree "$round/$1"
}
# push_aside: pushes $TREE to the app of the last `aside`, without waiting.
push_aside() {
  git -C "$TREE" add -A && git -C "$TREE" commit -qm "change $RANDOM"
  timeout 300 git -C "$TREE" push "$(git_url)" +HEAD:master >"$WORK/$ASIDE.out" 2>&1 </dev/null &
  ASIDE_PUSH[$ASIDE]=$!
}
old_version_serves() { answers "version 1"; }
# back: to the app of all other checks.
back() { APP=$MAIN_APP HOST=$MAIN_HOST; }
# judge NAME SENTENCE PATTERN: how the push aside ended, and that its old version serves.
judge() {
  APP=${ASIDE_APP[$1]} HOST=${ASIDE_HOST[$1]} CODE=0
  wait "${ASIDE_PUSH[$1]}" || CODE=$?
  unset "ASIDE_PUSH[$1]"
  cp "$WORK/$1.out" "$OUT"
  check "$2" fails "$3"
  check "and its old version serves" old_version_serves
  api DELETE "/v2/self/applications/$APP" >/dev/null
}

for round in $(seq "${KARREG_TEST_ROUNDS:-1}"); do
  new_app fault-$round
  MAIN_APP=$APP MAIN_HOST=$HOST
  new_tree $round/good
  node_app "$(serving 'version 1')"
  push
  check "a good version is deployed first" succeeds "Successfully deployed"
  check "it answers" old_version_serves

  # What ends at a time limit is pushed aside, each to an app of its own, and judged at the end.
  aside endless
  set_env CC_BUILD_TIME_LIMIT 60s
  node_app "$(serving never)"
  echo '{"name": "app", "version": "1.0.0", "scripts": {"start": "node server.js", "build": "sleep 100000"}}' >"$TREE/package.json"
  push_aside
  aside deaf
  node_app "setInterval(() => {}, 1000); console.log('I do not listen');"
  push_aside
  aside loopback
  node_app "require('http').createServer((q, s) => s.end('x')).listen(process.env.PORT, '127.0.0.1');"
  push_aside
  aside unhealthy
  set_env CC_HEALTH_CHECK_PATH /health
  node_app "require('http').createServer((q, s) => { s.statusCode = 500; s.end(); }).listen(process.env.PORT, '0.0.0.0');"
  push_aside
  back

  new_tree $round/nothing
  echo "just words" >"$TREE/NOTES"
  LIMIT=60 push +HEAD:master
  check "a push with no known build tool fails and says what was looked for" fails "remote: .*(package.json|looked for)"

  new_tree $round/badjson
  printf '{"name": "x",\n "scripts": {oops}}\n' >"$TREE/package.json"
  LIMIT=60 push +HEAD:master
  check "a malformed package.json is named with the place of the error" fails "package.json.*(line|2:|column)"

  new_tree $round/failing
  node_app "$(serving never)"
  echo '{"name": "app", "version": "1.0.0", "scripts": {"start": "node server.js", "build": "echo the-last-words; exit 3"}}' >"$TREE/package.json"
  push +HEAD:master
  check "a build that fails shows its step, its exit code and its last lines" fails "remote: .*exited with 3"
  check "its output was shown" said "remote: .*the-last-words"

  new_tree $round/fulldisk
  node_app "$(serving never)"
  cat >"$TREE/fill.sh" <<'S'
n=0
for size in 4G 4G 1G 512M 256M 128M 64M 32M 16M 8M 4M 2M 1M; do fallocate -l $size filler$n 2>/dev/null; n=$((n + 1)); done
cat /dev/zero >rest
S
  echo '{"name": "app", "version": "1.0.0", "scripts": {"start": "node server.js", "build": "sh fill.sh"}}' >"$TREE/package.json"
  push +HEAD:master
  check "a build that fills its disk is told so" fails "no space left on the build disk"

  new_tree $round/dying
  node_app "console.log('famous last words'); process.exit(3);"
  push +HEAD:master
  check "an app that exits at once is told its exit code" fails "exited with 3"
  check "and shown its last lines" said "remote: .*famous last words"

  # Pushes that never become deployments.
  new_user stranger
  run git -C "$WORK/$round/good" push "${KARREG_TEST_API/\/\//\/\/$(user token stranger):$(user secret stranger)@}/git/$APP.git" HEAD:master
  check "a push to somebody else's application is a push to one that does not exist" fails "not found|no application"
  run git -C "$WORK/$round/good" push "$(git_url app_00000000-0000-4000-8000-000000000000)" HEAD:master
  check "a push to an unknown application says so" fails "not found|no application"
  run git -C "$WORK/$round/good" push "${KARREG_TEST_API/\/\//\/\/$(user token):wrong@}/git/$APP.git" HEAD:master
  check "a push with a wrong token is refused" fails "Authentication failed"

  new_tree $round/large
  node_app "$(serving never)"
  head -c 30000000 /dev/urandom >"$TREE/blob"
  push +HEAD:master
  too_large="this push is larger than 20 MiB, the limit of this platform \(api.max_push_bytes\): remove large files from the history"
  check "a push over the size limit is told the limit and what to do" fails "remote: $too_large"
  check "and so is a client that reads the reasons of refs only" said "remote rejected.*$too_large"

  # A pack cut in the middle, as from a connection that broke.
  git -C "$WORK/$round/good" commit -q --allow-empty -m truncated
  new=$(git -C "$WORK/$round/good" rev-parse HEAD)
  old=$(git ls-remote "$(git_url)" refs/heads/master | cut -f1)
  printf '%s\n' "$new" "^$old" | git -C "$WORK/$round/good" pack-objects --revs --stdout -q >"$WORK/pack"
  capabilities=" report-status agent=git/2"
  length=$((4 + 40 + 1 + 40 + 1 + 17 + 1 + ${#capabilities}))
  {
    printf '%04x%s %s refs/heads/master\0%s' "$length" "${old:-$(printf '0%.0s' {1..40})}" "$new" "$capabilities"
    printf '0000'
    head -c $(($(stat -c %s "$WORK/pack") - 30)) "$WORK/pack"
  } >"$WORK/body"
  run curl -sS --max-time 30 -u "$(user token):$(user secret)" -H "Content-Type: application/x-git-receive-pack-request" \
    --data-binary "@$WORK/body" "$KARREG_TEST_API/git/$APP.git/git-receive-pack"
  check "a truncated pack is refused as such" said "unpack|index-pack|early EOF|bad"
  unmoved() { [ "$(git ls-remote "$(git_url)" refs/heads/master | cut -f1)" = "$old" ]; }
  check "and moves nothing" unmoved

  status=$(api_status POST /v2/self/applications '{"name": oops}')
  check "malformed JSON is a 400" test "$status" = 400
  check "that says where" said "line 1, column"
  status=$(api_status POST /v2/self/applications '{"name": 5}')
  check "a field of the wrong type is a 400" test "$status" = 400
  check "that names the field" said 'name'
  visit "no-such-app.localhost"
  check "an unknown host at the proxy is told so by name" said "no-such-app.localhost"
  check "the old version serves to the end" old_version_serves
  api DELETE "/v2/self/applications/$APP" >/dev/null

  judge endless "a build that never ends is ended at the time limit, which is named" "time limit of [0-9]+ s"
  judge deaf "an app that never listens is told to listen on PORT" "nothing listens on 0.0.0.0:8080.*PORT"
  judge loopback "an app that listens on 127.0.0.1 only is told to listen on 0.0.0.0" "listens on 127.0.0.1:8080 only"
  judge unhealthy "an unhealthy version is told what its health check answered" "GET /health answered 500"
done
finish
