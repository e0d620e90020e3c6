#!/usr/bin/env bash
# A host that shares no folder with the platform (docs/hosts.md): it gets artifacts and images from the store of the builder, goes
# on where a transfer was cut, and boots what it has when the store is away. On a platform of its own; the second host is a second
# agent on this machine, with a data folder of its own.
source "$(dirname "$0")/own_platform.sh"
other=$PLACE/other relay= agent=
stop_more() {
  [ -z "$agent" ] || { kill "$agent" 2>/dev/null; timeout 20 tail --pid="$agent" -f /dev/null || kill -9 "$agent"; }
  [ ! -e "$data/karreg.toml" ] || second purge >/dev/null 2>&1
  [ -z "$relay" ] || kill "$relay" 2>/dev/null
}

install -d -m 755 "$other" "$PLACE/store"
openssl rand -hex 32 >"$PLACE/token"
STORE_PORT=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
KARREG_STORE_LISTEN=127.0.0.1:$STORE_PORT KARREG_STORE_TOKEN_FILE=$PLACE/token own_platform --throw-away
timeout 1200 /usr/bin/python3 "$root/tests/e2e/store_relay.py" "$STORE_PORT" "$PLACE/store" >"$PLACE/relay" 2>&1 &
relay=$!
# second ARGUMENT...: the agent of the other host. Nothing but the settings of the broker is the platform's. With EXEC=exec it takes
# the place of the shell, so that this one's process is the agent's.
second() {
  local prefix
  prefix=$(sed -n 's/^address_prefix = "127\.\([0-9]*\)"/\1/p' "$data/karreg.toml")
  ${EXEC:-} env KARREG_DATA_DIR="$other" KARREG_AGENT_HOST_ID=host-2 KARREG_AGENT_IMAGES_DIR="$other/images" KARREG_AGENT_MEMORY_MB=262144 \
    KARREG_AGENT_ADDRESS_PREFIX="127.$((prefix == 254 ? 65 : prefix + 1))" KARREG_AGENT_STORE_TOKEN_FILE="$PLACE/token" \
    KARREG_AGENT_STORE_URL="http://127.0.0.1:$(head -n 1 "$PLACE/relay")" \
    "$KARREG_TEST_BIN/karreg-agent" --config "$data/karreg.toml" "$@"
}
start_second() {
  EXEC=exec second >>"$PLACE/agent.log" 2>&1 </dev/null &
  agent=$!
}

wait_until 10 test -s "$PLACE/relay" || bail "the relay to the store did not start" "$PLACE/relay"
start_second
is_known() { [ "$(database "SELECT builds FROM hosts WHERE id = 'host-2'")" = f ]; }
wait_until 120 is_known || bail "the second host did not come up" "$PLACE/agent.log"
check "a host without images of its own comes up, measured with those of the store, and says that it does not build" is_known

artifact() { database "SELECT d.artifact_digest FROM apps a JOIN deployments d ON d.uuid = a.serving_deployment WHERE a.id = '$APP'"; }
image() { database "SELECT d.run_image FROM apps a JOIN deployments d ON d.uuid = a.serving_deployment WHERE a.id = '$APP'"; }
fetched() { echo "$other/agent/fetched/$1"; }
is_whole() { [ "$(sha256sum <"$1" 2>/dev/null | cut -d' ' -f1)" = "$(basename "$1")" ]; }
host_of() { database "SELECT string_agg(DISTINCT host_id, ',') FROM instances WHERE app_id = '$APP' AND kind = '$1' ${2:-}"; }
instance() { database "SELECT id FROM instances WHERE app_id = '$APP' AND kind = 'run' AND routed = 'yes'"; }
waits_for_the_artifact() { database "SELECT detail FROM instances WHERE app_id = '$APP' AND kind = 'run' AND wanted" >"$OUT" && said 'fetching the .* of .* MiB.*trying again'; }

# Less than the image of its runtime, so that its transfer breaks once.
mkdir -p "$PLACE/store/cuts" && touch "$PLACE/store/cuts/3000000"
new_app second
new_tree second
node_app "$(serving one)"
push
check "an app is deployed" succeeds "Successfully deployed"
check "it was built on the host that shares the data folder" [ "$(host_of build)" = host-1 ]
check "it runs on the other one" [ "$(host_of run "AND routed = 'yes'")" = host-2 ]
check "and answers through the proxy" answers one
check "what it boots from came to the other host and is what its digest says" is_whole "$(fetched "$(artifact)")"
check "so did the image of its runtime, whose transfer was cut once" is_whole "$(fetched "$(image)")"
check "a connection was cut on the way" test -e "$PLACE/store/was-cut"
check "nothing lies in the place of what a builder makes" test ! -e "$other/artifacts"

touch "$PLACE/store/away"
node_app "$(serving two)"
git -C "$TREE" add -A && git -C "$TREE" commit -qm two
LIMIT=300 timeout 300 git -C "$TREE" push "$(git_url)" HEAD:master >"$WORK/push" 2>&1 </dev/null &
pusher=$!
wait_until 120 waits_for_the_artifact
check "while the store is away the new version waits for its artifact, and says so" waits_for_the_artifact
check "and the one before serves" answers one
rm "$PLACE/store/away"
wait "$pusher"
CODE=$?
cp "$WORK/push" "$OUT"
check "when it is back the deployment goes on" succeeds "Successfully deployed"
check "the new version serves" answers two

touch "$PLACE/store/away"
kill -9 "$agent" && wait "$agent" 2>/dev/null
before=$(instance)
start_second
adopted() { grep -q "instance=$before" <(grep -a adopt "$PLACE/agent.log"); }
wait_until 60 adopted
check "the agent starts again without the store, and takes its VM over" adopted
check "which answers as before" answers two
restarted() { local now; now=$(instance) && [ -n "$now" ] && [ "$now" != "$before" ]; }
api POST "/v2/self/applications/$APP/instances" >"$OUT"
wait_until 120 restarted
check "a new instance boots of what is here, without the store" restarted
check "on the same host" [ "$(host_of run "AND routed = 'yes'")" = host-2 ]
check "and answers" answers two

rm "$PLACE/store/away"
printf '!' | dd of="$(fetched "$(artifact)")" bs=1 seek=2000 conv=notrunc status=none
before=$(instance)
api POST "/v2/self/applications/$APP/instances" >"$OUT"
wait_until 120 restarted
check "an artifact whose disk lost a byte is fetched anew for the next instance" restarted
check "and is whole again" is_whole "$(fetched "$(artifact)")"
check "which answers" answers two
finish
