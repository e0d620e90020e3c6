#!/usr/bin/env bash
# Bad input and failing apps: the pusher learns what happened and what to do, and the old version keeps serving.
source "$(dirname "$0")/lib.sh"

new_app fault
new_tree good
node_app "$(serving 'version 1')"
push
check "a good version is deployed first" succeeds "Successfully deployed"
old_version_serves() { answers "version 1"; }
check "it answers" old_version_serves

new_tree nothing
echo "just words" >"$TREE/NOTES"
LIMIT=60 push +HEAD:master
check "a push with no known build tool fails and says what was looked for" fails "remote: .*(package.json|looked for)"

new_tree badjson
printf '{"name": "x",\n "scripts": {oops}}\n' >"$TREE/package.json"
LIMIT=60 push +HEAD:master
check "a malformed package.json is named with the place of the error" fails "package.json.*(line|2:|column)"

new_tree failing
node_app "$(serving never)"
echo '{"name": "app", "version": "1.0.0", "scripts": {"start": "node server.js", "build": "echo the-last-words; exit 3"}}' >"$TREE/package.json"
push +HEAD:master
check "a build that fails shows its step, its exit code and its last lines" fails "remote: .*exited with 3"
check "its output was shown" said "remote: .*the-last-words"

check "through all of this the old version served" old_version_serves
finish
