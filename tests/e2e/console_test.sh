#!/usr/bin/env bash
# The web console in Debian's Chromium: somebody signs in and watches a real deployment, without reloading a page.
source "$(dirname "$0")/lib.sh"
here=$ROOT/tests/e2e/console
if [ ! -e "$here/node_modules/playwright-core" ]; then
  (cd "$here" && LIMIT=120 run npm ci --ignore-scripts --no-audit --no-fund)
fi
check "the browser's driver of the lock file is installed" test -e "$here/node_modules/playwright-core/package.json"

password="a long one $RANDOM$RANDOM"
email="console-$$-$RANDOM@example.com"
echo "$password" | "$KARREG_TEST_BIN/karreg-api" admin create-user --email "$email" --name Watcher --password-stdin \
  --config "$KARREG_TEST_DATA/karreg.toml" >"$WORK/user-me.json"
new_app console
new_tree console
node_app "require('http').createServer((q, s) => s.end('seen in the console\\n')).listen(process.env.PORT, '0.0.0.0', () => console.log('listening in the console test'));"

mkdir -p "$ROOT/build/logs"
picture=$ROOT/build/logs/console_test.png
timeout 240 node "$here/watch.mjs" "$KARREG_TEST_API/console/" "$email" "$password" "console-$$" "http://$HOST:$KARREG_TEST_PROXY_PORT/" \
  "$(database "SELECT accelerator_detail FROM hosts WHERE accelerator <> '' LIMIT 1")" "$picture" >"$WORK/watched" 2>&1 </dev/null &
watcher=$!
watches_the_app() { grep -q "saw: the page of the app" "$WORK/watched" || ! kill -0 "$watcher"; }
wait_until 120 watches_the_app
push
check "the push succeeds" succeeds "Successfully deployed"
wait "$watcher"
cp "$WORK/watched" "$OUT"
for thing in "a strict content security policy" "the console open by itself once the API is back" "a wrong password refused" "the list of applications" \
  "a session cookie that no script can read" "the new app with its state and address" \
  "the accelerator of a host with its measured figures" \
  "the login of a command line, and its token after accepting it" "the live log come back after a refusal" "the page of the app" \
  "the deployment in progress" "the live log of the build" "the deployment end in OK" "a line that the app printed" "the app running" \
  "the app answer at the address shown" "the sign-in page after signing out" "no complaint of the browser"; do
  check "a user of the console sees $thing" said "^saw: $thing\$"
done
finish
