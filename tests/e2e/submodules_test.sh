#!/usr/bin/env bash
# Git submodules: the build VM fetches them, at their commits, from a git server that the operator has listed (docs/submodules.md).
source "$(dirname "$0")/lib.sh"

NAME=${KARREG_TEST_GIT_HOST%:*} PORT=${KARREG_TEST_GIT_HOST##*:}
REPOS=$WORK/repos
mkdir -p "$REPOS"
# repository NAME FILE TEXT: a bare repository with one commit, whose id is printed.
repository() {
  local tree=$WORK/tree-$1
  git init -q -b main "$tree"
  echo "$3" >"$tree/$2"
  git -C "$tree" add -A && git -C "$tree" commit -qm "$1"
  git clone -q --bare "$tree" "$REPOS/$1.git"
  git -C "$tree" rev-parse HEAD
}
LIB=$(repository lib greeting.js "module.exports = 'the library says hello';")
SECRET=$(repository secret secret.js "module.exports = 'and so does the private one';")
# Only the commits that the app names: what came later is none of its business.
git -C "$WORK/tree-lib" commit -q --allow-empty -m later && git -C "$WORK/tree-lib" push -q "$REPOS/lib.git" main

# It ends with its standard input, which closes with this test.
exec {KEEP}> >(exec /usr/bin/python3 "$ROOT/tests/support/git_server.py" "$REPOS" "$(getent ahostsv4 "$NAME" | awk 'NR == 1 {print $1}')" "$PORT" >"$WORK/git-server" 2>&1)
check "a git server answers by the name of this machine" wait_until 20 git ls-remote "http://$NAME:$PORT/smart/lib.git" main

new_app submodules
new_tree submodules
node_app "const text = require('./vendor/lib/greeting.js') + ', ' + require('./vendor/secret/secret.js');
require('http').createServer((q, s) => s.end(text + '\n')).listen(process.env.PORT, '0.0.0.0');"
# submodule NAME COMMIT KIND: a gitlink and its entry.
submodule() {
  git -C "$TREE" update-index --add --cacheinfo "160000,$2,vendor/$1"
  git -C "$TREE" config -f .gitmodules "submodule.$1.path" "vendor/$1"
  git -C "$TREE" config -f .gitmodules "submodule.$1.url" "http://$NAME:$PORT/$3/$1.git"
}
submodule lib "$LIB" smart
submodule secret "$SECRET" private
# commit_and_push: as push, which would take the gitlinks for removed folders.
commit_and_push() {
  git -C "$TREE" add package.json server.js .gitmodules && git -C "$TREE" commit -qm "change $RANDOM" --allow-empty
  LIMIT=300 run git -C "$TREE" push "$(git_url)" HEAD:master
}
commit_and_push
check "a private submodule without a credential fails the build, which says what to set" fails "CC_GIT_CREDENTIALS"
set_env CC_GIT_CREDENTIALS "http://me:hid%3Aden@$NAME:$PORT"
commit_and_push
check "with one, an app with submodules is deployed" succeeds "Successfully deployed"
check "its credential is not in the push" test "$(grep -c 'hid%3Aden\|hid:den' "$OUT")" = 0
check "the app has the files of both" answers "the library says hello, and so does the private one"

git -C "$TREE" config -f .gitmodules submodule.lib.url ../lib.git
commit_and_push
check "a submodule at a relative address is refused, with its reason" fails "relative"
git -C "$TREE" config -f .gitmodules submodule.lib.url "http://not-listed.example/lib.git"
commit_and_push
check "one on a host that builds may not reach fails, and says so" fails "not among the hosts that builds may reach|403"
check "the version before goes on" answers "the library says hello"
exec {KEEP}>&-

# By SSH, with a key, through the same proxy.
SSH_NAME=${KARREG_TEST_SSH_HOST%:*} SSH_PORT=${KARREG_TEST_SSH_HOST##*:}
for key in host mine other; do ssh-keygen -q -t ed25519 -N '' -C "$key" -f "$WORK/key-$key"; done
echo "restrict,command=\"git-upload-pack '$REPOS/secret.git'\" $(cat "$WORK/key-mine.pub")" >"$WORK/authorized"
mkdir -p /run/sshd
# It ends with this test, whatever ends that.
setpriv --pdeathsig TERM /usr/sbin/sshd -D -e -f /dev/null -h "$WORK/key-host" -p "$SSH_PORT" \
  -o ListenAddress="$(getent ahostsv4 "$SSH_NAME" | awk 'NR == 1 {print $1}')" -o AuthorizedKeysFile="$WORK/authorized" \
  -o StrictModes=no -o PasswordAuthentication=no -o KbdInteractiveAuthentication=no -o PermitRootLogin=prohibit-password \
  -o UsePAM=no -o PidFile=none 2>"$WORK/sshd" &
SSHD=$!
known_host() { ssh-keyscan -p "$SSH_PORT" "$SSH_NAME" 2>/dev/null | grep ed25519 >"$WORK/known" && [ -s "$WORK/known" ]; }
check "an SSH server answers by the name of this machine" wait_until 20 known_host

new_app ssh-submodule
new_tree ssh-submodule
node_app "require('http').createServer((q, s) => s.end(require('./vendor/secret/secret.js') + '\n')).listen(process.env.PORT, '0.0.0.0');"
submodule secret "$SECRET" unused
git -C "$TREE" config -f .gitmodules submodule.secret.url "ssh://$(id -un)@$SSH_NAME:$SSH_PORT/secret.git"
# set_env_file NAME FILE: its text, whatever is in it.
set_env_file() {
  /usr/bin/python3 -c 'import json, sys; print(json.dumps({"value": open(sys.argv[1]).read()}))' "$2" >"$WORK/value"
  api PUT "/v2/self/applications/$APP/env/$1" "@$WORK/value" >/dev/null
}
set_env_file CC_SSH_PRIVATE_KEY "$WORK/key-mine"
commit_and_push
check "a host whose key nobody has told is not trusted" fails "ssh-keyscan -p $SSH_PORT $SSH_NAME"
set_env_file CC_SSH_KNOWN_HOSTS "$WORK/known"
LIMIT=900 commit_and_push
check "a private submodule is fetched by SSH with the key of the app" succeeds "Successfully deployed"
check "the key is not in the push" test "$(grep -cFf <(sed -n 2p "$WORK/key-mine") "$OUT")" = 0
check "the app has its files" answers "and so does the private one"
set_env_file CC_SSH_PRIVATE_KEY "$WORK/key-other"
commit_and_push
check "a key that may not read it fails the build, which says what to set" fails "CC_SSH_PRIVATE_KEY"
set_env_file CC_SSH_PRIVATE_KEY "$WORK/key-mine"
echo "[$SSH_NAME]:$SSH_PORT $(cut -d' ' -f1,2 "$WORK/key-other.pub")" >"$WORK/known"
set_env_file CC_SSH_KNOWN_HOSTS "$WORK/known"
commit_and_push
check "a host with another key than the known one is not spoken to" fails "Host key verification failed"
check "the version before goes on" answers "and so does the private one"
kill "$SSHD"
wait "$SSHD" 2>/dev/null
finish
