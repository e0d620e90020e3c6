#!/usr/bin/env bash
# Faults whose checks have not held in a whole run yet: run by hand with the KARREG_TEST_* of a platform, not by ./dev test.
source "$(dirname "$0")/lib.sh"

new_app fault
new_tree good
node_app "$(serving 'version 1')"
push
new_tree endless
node_app "$(serving never)"
echo '{"name": "app", "version": "1.0.0", "scripts": {"start": "node server.js", "build": "sleep 100000"}}' >"$TREE/package.json"
push +HEAD:master
check "a build that never ends is ended at the time limit, which is named" fails "time limit of [0-9]+ s"

new_tree fulldisk
node_app "$(serving never)"
cat >"$TREE/fill.sh" <<'S'
n=0
for size in 4G 4G 1G 512M 256M 128M 64M 32M 16M 8M 4M 2M 1M; do fallocate -l $size filler$n 2>/dev/null; n=$((n + 1)); done
cat /dev/zero >rest
S
echo '{"name": "app", "version": "1.0.0", "scripts": {"start": "node server.js", "build": "sh fill.sh"}}' >"$TREE/package.json"
push +HEAD:master
check "a build that fills its disk is told so" fails "no space left on the build disk"

new_tree deaf
node_app "setInterval(() => {}, 1000); console.log('I do not listen');"
push +HEAD:master
check "an app that never listens is told to listen on PORT" fails "nothing listens on 0.0.0.0:8080.*PORT"

new_tree loopback
node_app "require('http').createServer((q, s) => s.end('x')).listen(process.env.PORT, '127.0.0.1');"
push +HEAD:master
check "an app that listens on 127.0.0.1 only is told to listen on 0.0.0.0" fails "listens on 127.0.0.1:8080 only"

new_tree dying
node_app "console.log('famous last words'); process.exit(3);"
push +HEAD:master
check "an app that exits at once is told its exit code" fails "exited with 3"
check "and shown its last lines" said "remote: .*famous last words"

set_env CC_HEALTH_CHECK_PATH /health
new_tree unhealthy
node_app "require('http').createServer((q, s) => { s.statusCode = 500; s.end(); }).listen(process.env.PORT, '0.0.0.0');"
push +HEAD:master
check "an unhealthy version is told what its health check answered" fails "GET /health answered 500"
api DELETE "/v2/self/applications/$APP/env/CC_HEALTH_CHECK_PATH" >/dev/null

# Pushes that never become deployments.
new_user stranger
run git -C "$WORK/good" push "${KARREG_TEST_API/\/\//\/\/$(user token stranger):$(user secret stranger)@}/git/$APP.git" HEAD:master
check "a push to somebody else's application is a push to one that does not exist" fails "not found|no application"
run git -C "$WORK/good" push "$(git_url app_00000000-0000-4000-8000-000000000000)" HEAD:master
check "a push to an unknown application says so" fails "not found|no application"
run git -C "$WORK/good" push "${KARREG_TEST_API/\/\//\/\/$(user token):wrong@}/git/$APP.git" HEAD:master
check "a push with a wrong token is refused" fails "Authentication failed"

new_tree large
node_app "$(serving never)"
head -c 30000000 /dev/urandom >"$TREE/blob"
push +HEAD:master
check "a push over the size limit is refused with the limit's name" fails "maximum allowed size|larger than"

# A pack cut in the middle, as from a connection that broke.
git -C "$WORK/good" commit -q --allow-empty -m truncated
new=$(git -C "$WORK/good" rev-parse HEAD)
old=$(git ls-remote "$(git_url)" refs/heads/master | cut -f1)
printf '%s\n' "$new" "^$old" | git -C "$WORK/good" pack-objects --revs --stdout -q >"$WORK/pack"
command=$(printf '%s %s refs/heads/master\\0 report-status agent=git/2' "${old:-$(printf '0%.0s' {1..40})}" "$new")
length=$((4 + 40 + 1 + 40 + 1 + 17 + 1 + 28))
{
  printf "%04x$command" "$length"
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
finish
