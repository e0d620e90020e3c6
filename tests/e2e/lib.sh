# What end-to-end tests share: TAP lines, bounded commands, a user of their own, applications and pushes.
# Sourced by tests/e2e/*_test.sh, which run against the platform named by KARREG_TEST_* (./dev test e2e).
set -uo pipefail
: "${KARREG_TEST_DATA:?run this through ./dev test e2e}"
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
WORK=$(mktemp -d /tmp/karreg-e2e.XXXXXX)
trap clean_up EXIT
export HOME=$WORK/home GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0
export GIT_AUTHOR_NAME=Test GIT_AUTHOR_EMAIL=test@example.com GIT_COMMITTER_NAME=Test GIT_COMMITTER_EMAIL=test@example.com
mkdir -p "$HOME"
NUMBER=0
APPS=()
OUT=$WORK/out

delete_apps() {
  local app
  for app in "${APPS[@]:-}"; do
    [ -z "$app" ] || api DELETE "/v2/self/applications/$app" >/dev/null
  done
  APPS=()
}
# Applications of a test do not outlive it.
clean_up() {
  delete_apps
  rm -rf "$WORK"
}

# check SENTENCE COMMAND...: one TAP line; what the last `run` printed is the detail of a failure.
check() {
  local sentence=$1
  shift
  NUMBER=$((NUMBER + 1))
  if "$@"; then
    echo "ok $NUMBER - $sentence"
  else
    # The detail ends its last line, or the verdict would stand on that one and not be seen.
    tail -n 30 "$OUT" 2>/dev/null | sed -e 's/^/# /' -e '$a\'
    echo "not ok $NUMBER - $sentence"
  fi
}

# run COMMAND...: bounded (LIMIT seconds); its output is in $OUT, its exit code in $CODE.
run() {
  CODE=0
  timeout "${LIMIT:-60}" "$@" >"$OUT" 2>&1 </dev/null || CODE=$?
}
said() { grep -qE -- "$1" "$OUT"; }
succeeds() { [ "$CODE" -eq 0 ] && { [ $# -eq 0 ] || said "$1"; }; }
# fails PATTERN: the command ended badly, by itself and not by the time limit, and said why.
fails() { [ "$CODE" -ne 0 ] && [ "$CODE" -ne 124 ] && said "$1"; }

# wait_until SECONDS COMMAND...: tries every 0.2 s.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.2
  done
}

json() { /usr/bin/python3 -c "import json,sys; v=json.load(sys.stdin); print(v$1)"; }

# new_user NAME: makes a user; its values are read with `user FIELD NAME`.
new_user() {
  "$KARREG_TEST_BIN/karreg-api" admin create-user --email "$1-$$-$RANDOM@example.com" --name "$1" \
    --config "$KARREG_TEST_DATA/karreg.toml" >"$WORK/user-$1.json"
}
user() { json "['$1']" <"$WORK/user-${2:-me}.json"; }

# api METHOD PATH [BODY]: a call as the test's user; prints the answer's body.
api() {
  curl -sS --max-time 30 -X "$1" -H "Authorization: Bearer $(user api_token)" ${3:+--data "$3"} "$KARREG_TEST_API$2"
}
# api_status METHOD PATH [BODY]: its status; the body is in $OUT.
api_status() {
  curl -sS --max-time 30 -o "$OUT" -w '%{http_code}' -X "$1" -H "Authorization: Bearer $(user api_token)" ${3:+--data "$3"} \
    "$KARREG_TEST_API$2"
}

# new_app NAME: makes an application; its id is in $APP, its host name in $HOST.
new_app() {
  api POST /v2/self/applications "{\"name\": \"$1-$$\", \"instanceVariant\": \"auto\"}" >"$WORK/app.json"
  APP=$(json "['id']" <"$WORK/app.json")
  HOST=$(json "['vhosts'][0]['fqdn'].rstrip('/')" <"$WORK/app.json")
  APPS+=("$APP")
}
set_env() { api PUT "/v2/self/applications/$APP/env/$1" "{\"value\": \"$2\"}" >/dev/null; }

# new_tree FOLDER: an empty repository, and the place from which `push` pushes.
new_tree() {
  TREE=$WORK/$1
  mkdir -p "$TREE" && git -C "$TREE" init -q -b master .
}
# node_app SCRIPT: the tree is a Node app whose server.js is SCRIPT.
node_app() {
  echo '{"name": "app", "version": "1.0.0", "scripts": {"start": "node server.js"}}' >"$TREE/package.json"
  echo "$1" >"$TREE/server.js"
}
serving() { echo "require('http').createServer((q, s) => s.end('$1\\n')).listen(process.env.PORT, '0.0.0.0', () => console.log('ready'));"; }
git_url() { echo "${KARREG_TEST_API/\/\//\/\/$(user token):$(user secret)@}/git/${1:-$APP}.git"; }
# push [REFSPEC]: commits everything and pushes it, waiting for the deployment.
push() {
  git -C "$TREE" add -A && git -C "$TREE" commit -qm "change $RANDOM" --allow-empty
  LIMIT=${LIMIT:-300} run git -C "$TREE" push "$(git_url)" "${1:-HEAD:master}"
}
# visit HOST [PATH]: through the reverse proxy.
visit() { run curl -sS --max-time 20 -H "Host: $1" "http://127.0.0.1:$KARREG_TEST_PROXY_PORT${2:-/}"; }
answers() { visit "$HOST" && succeeds "$1"; }
database_url() { sed -n 's/^url = "\(.*\)"/\1/p' "$KARREG_TEST_DATA/karreg.toml"; }
# database QUERY: one value of the platform's database.
database() { psql "$(database_url)" -Atc "$1"; }
finish() { echo "1..$NUMBER"; }

new_user me
