#!/usr/bin/env bash
# Repositories that mean harm, or were made without care: each push ends with a message that says what is wrong, within bounds, and
# nothing of the host is read, reached or used up.
# KARREG_TEST_ROUNDS=N does all of it N times (default: 1).
source "$(dirname "$0")/lib.sh"

mark="secret-of-the-host-$RANDOM$RANDOM"
echo "$mark" >"$WORK/secret"
chmod 644 "$WORK/secret"
# No two are alike: what was built before is not built again.
site() { echo "<p>harmless $RANDOM$RANDOM" >"$TREE/index.html"; }
command() { printf '[build]\ncommand = """\n%s\n"""\n' "$1" >"$TREE/karreg.toml"; }
# fast: refused by the platform in less than a minute, whatever the repository has.
refused() { fails "$1" && [ "$ELAPSED" -lt 60 ]; }
timed_push() {
  local begin=$SECONDS
  push "$@"
  ELAPSED=$((SECONDS - begin))
}
alive() { [ "$(curl -sS --max-time 10 -o /dev/null -w '%{http_code}' "$KARREG_TEST_API/healthz" 2>/dev/null)" = 200 ]; }
no_build_is_left() { [ "$(database "SELECT count(*) FROM instances WHERE app_id = '$APP' AND kind = 'build' AND ended_at IS NULL")" = 0 ]; }
# Neither disks of its builds, nor an upload that git has not cleared away, nor a VM that the database does not know, nor an
# artifact of nobody.
nothing_is_left() {
  local build
  no_build_is_left || return 1
  for build in $(database "SELECT id FROM builds WHERE app_id = '$APP'"); do
    [ -z "$(find "$KARREG_TEST_DATA/builds" -maxdepth 1 -name "*$build*")" ] || return 1
  done
  [ -z "$(find "$KARREG_TEST_DATA/repos/$APP.git/objects" -maxdepth 1 -name 'tmp_objdir-*' -o -name 'incoming-*')" ] || return 1
  [ "$(find "$KARREG_TEST_DATA/agent/vms" -mindepth 1 -maxdepth 1 | wc -l)" = \
    "$(database "SELECT count(*) FROM instances WHERE ended_at IS NULL")" ] || return 1
  [ "$(find "$KARREG_TEST_DATA/artifacts" -type f | wc -l)" = "$(database "SELECT count(*) FROM artifacts")" ]
}

# watch_host, then host_took: what the platform took of the host between the two (host_load.py).
watch_host() {
  /usr/bin/python3 "$ROOT/tests/e2e/host_load.py" "$KARREG_TEST_DATA" "$WORK/load.json" &
  WATCH=$!
}
host_took() {
  kill -TERM "$WATCH" && wait "$WATCH"
  echo "# the host bore ($1): $(cat "$WORK/load.json")"
}
# at_most MEMORY_MB GIT_MB DISK_MB GROWN_MB: no daemon had more, no git, the data folder did not grow by more meanwhile and has
# given it back.
at_most() {
  /usr/bin/python3 - "$WORK/load.json" "$@" <<'PYTHON'
import json, sys
load, (memory, git, disk, grown) = json.load(open(sys.argv[1])), map(int, sys.argv[2:])
over = {name: mb for name, mb in load["memory_mb"].items()
        if name.startswith("karreg-") and mb > memory or name.startswith("git") and mb > git}
sys.exit(1 if over or load["disk_mb"] > disk or load["grown_mb"] > grown else 0)
PYTHON
}

# 2 GiB of zeros are 2 MiB for git, and lie in a pack that each push takes its bytes from.
new_tree gigabytes
GIGABYTES=$TREE
site
truncate -s 2G "$TREE/gigabytes.bin"
git -C "$TREE" add -A
# 512 MiB for npm, in 2 MiB. It holds more than it has written: of a larger one it ends because the VM has no more memory.
mkdir -p "$WORK/bomb/package"
echo '{"name": "bomb", "version": "1.0.0"}' >"$WORK/bomb/package/package.json"
for number in $(seq 512); do truncate -s 1M "$WORK/bomb/package/$number.bin"; done
tar -C "$WORK/bomb" -cf - package | gzip -1 >"$WORK/bomb.tgz"
rm -r "$WORK/bomb"

for round in $(seq "${KARREG_TEST_ROUNDS:-1}"); do
  new_app "links"
  new_tree "links-$round"
  site
  ln -s "$WORK/secret" "$TREE/secret.txt"
  ln -s ../../../../../../../.. "$TREE/up"
  ln -s /etc/shadow "$TREE/shadow.txt"
  timed_push
  check "links out of the tree are deployed as what they are (round $round)" succeeds "Successfully deployed"
  nothing_leaks() {
    local path
    for path in secret.txt "up$WORK/secret" up/etc/shadow shadow.txt; do
      visit "$HOST" "/$path"
      ! said "$mark" && ! said "root:" || return 1
    done
  }
  check "and lead nowhere" nothing_leaks
  git -C "$TREE" rm -q --cached index.html && rm "$TREE/index.html"
  ln -s "$WORK/secret" "$TREE/package.json"
  timed_push
  check "a manifest that is a link is not read" refused "No known way to build this"
  check "nor is what it leads to shown" eval '! said "$mark"'

  new_app "names"
  new_tree "names-$round"
  printf 'x' >"$TREE/"$'a\e[2Jb\nc\xff.txt'
  timed_push
  check "names with control characters are shown without them (round $round)" refused "There is: a.*b c"
  check "so that no terminal obeys them" eval '! LC_ALL=C grep -q "$(printf "\\033\\[2J")" "$OUT"'

  new_app "many"
  new_tree "many-$round"
  # A million empty files: one blob, a thousand equal trees.
  {
    printf 'blob\nmark :1\ndata 0\n\ncommit refs/heads/master\nmark :2\ncommitter T <t@example.com> 1700000000 +0000\ndata 1\nx\n'
    for file in $(seq 1000); do echo "M 100644 :1 0/$file"; done
    echo
  } | git -C "$TREE" fast-import --quiet --force
  folder=$(git -C "$TREE" rev-parse master:0)
  tree=$(for number in $(seq 1000); do printf '040000 tree %s\t%s\n' "$folder" "$number"; done |
    (cat; printf '100644 blob %s\tindex.html\n' "$(echo hello | git -C "$TREE" hash-object -w --stdin)") | git -C "$TREE" mktree)
  commit=$(git -C "$TREE" commit-tree -m many "$tree")
  begin=$SECONDS
  LIMIT=300 run git -C "$TREE" push "$(git_url)" "$commit:refs/heads/master"
  ELAPSED=$((SECONDS - begin))
  check "a million files are refused with the bound (round $round)" refused "This commit has more than 250000 files, folders and links"

  new_app "large"
  new_tree "large-$round"
  site
  truncate -s 300M "$TREE/large.bin"
  timed_push
  check "a file of 300 MiB is refused with its name and the bound (round $round)" refused "large.bin has 300 MiB, and a file of a commit may have 256 MiB"

  new_app "gigabytes"
  TREE=$GIGABYTES
  watch_host
  LIMIT=300 timed_push
  host_took "a file of 2 GiB"
  check "a file of 2 GiB is refused with its name and the bound (round $round)" fails "gigabytes.bin has 2048 MiB, and a file of a commit may have 256 MiB"
  check "no program of the platform held it, on no disk it lies unpacked" at_most 200 100 100 50
  check "and nothing is left of its build" wait_until 60 nothing_is_left
  watch_host
  LIMIT=120 run /usr/bin/python3 "$ROOT/tests/e2e/delta_bomb.py" "$(git_url)"
  host_took "a delta of 8 GiB"
  check "a delta of 2 KiB that makes 8 GiB is refused with the bound (round $round)" succeeds "an object of this push is larger than 512 MiB"
  check "its branch is refused, too" said "ng refs/heads/master"
  check "and it costs no such memory" at_most 200 100 50 20
  check "nor leaves what was sent" wait_until 60 nothing_is_left

  new_app "manifests"
  new_tree "manifests-$round"
  while IFS='|' read -r file text message; do
    rm -f "$TREE"/*
    printf '%b' "$text" >"$TREE/$file"
    timed_push
    check "a malformed $file is refused with its place (round $round)" refused "$message"
  done <<'CASES'
package.json|{"scripts": {"start": 1}}|package.json: .scripts.start. must be text
package.json|{\n  "name": \n}|package.json, line 3, column 1
package.json|[]|package.json: expected a JSON object, found array
pyproject.toml|[project\nname = 1|pyproject.toml, line 1, column 9
Cargo.toml|[package\n|Cargo.toml, line 1, column 9
composer.json|{"require": []}|composer.json: .require. must be an object
deno.json|{"tasks": |deno.json, line 1
karreg.toml|[run]\ncommand = [1]|karreg.toml, line 2, column 11
Procfile|web node server.js|Procfile, line 1: expected
Procfile|web:  |Procfile, line 1: .web:. has no command after it
Pipfile|[a|Pipfile, line 1, column 3
deno.jsonc|{|deno.jsonc, line 1, column 2
app.cabal|x|app.cabal has no section .executable.
package.json|\xff\xfe{}|package.json, line 1, column 1
CASES

  new_app "zip"
  new_tree "zip-$round"
  node_app "$(serving never)"
  echo '{"name": "app", "version": "1.0.0", "dependencies": {"bomb": "file:bomb.tgz"}}' >"$TREE/package.json"
  cp "$WORK/bomb.tgz" "$TREE/bomb.tgz"
  # All but 128 MiB of both disks is taken before it: emulated processors would take minutes to write so much.
  set_env CC_PRE_BUILD_HOOK "for place in . /cache; do fallocate -l \$((\$(df --output=avail -B1 \$place | tail -n 1) - 134217728)) \$place/filler; done; echo taken"
  watch_host
  LIMIT=600 timed_push
  host_took "a zip bomb in a package"
  check "a zip bomb in a package ends at a disk of its build (round $round)" fails "install.*no space left on the (build|dependency cache) disk \([0-9]+ GiB\)"
  check "after all but the last of them was taken" said "remote: .*taken"
  check "and nothing is left of it" wait_until 60 nothing_is_left
  check "the host bore no more than those disks" at_most 200 100 800 200

  new_app "full"
  new_tree "full-$round"
  site
  command 'fallocate -l $(($(df --output=avail -B1 . | tail -n 1) - 134217728)) filler
cat /dev/zero >rest || echo "and goes on"'
  LIMIT=600 timed_push
  check "a build that fills its disk and goes on is told so in the end (round $round)" fails "packing the app.*no space left on the build disk \(10 GiB\)"
  check "after its own last words" said "remote: .*and goes on"
  check "and nothing is left of it" wait_until 60 nothing_is_left

  new_app "ears"
  new_tree "ears-$round"
  node_app "$(serving deaf-$round)"
  cat >"$TREE/listen.js" <<'S'
const ended = () => console.log('still listening');
process.on('SIGTERM', ended).on('SIGHUP', ended);
require('net').createServer().listen(7000, '0.0.0.0', () => console.log('listening for ever'));
S
  printf '[build]\ntime-limit = "20s"\ncommand = "node listen.js"\n' >"$TREE/karreg.toml"
  LIMIT=300 timed_push
  check "a build that listens for ever is ended by its time limit (round $round)" fails "the time limit of 20 s for a build was reached"
  check "which it has not heard of" said "remote: .*still listening"
  check "and nothing is left of it" wait_until 60 nothing_is_left
  cat >"$TREE/leave.js" <<'S'
const child = require('child_process').spawn('node', ['listen.js'], {detached: true, stdio: 'inherit'});
const leave = () => { console.log('left behind: ' + child.pid); process.exit(0); };
const look = () => require('net').connect(7000, '127.0.0.1').on('connect', leave).on('error', () => setTimeout(look, 100));
look();
S
  printf '[build]\ncommand = "node leave.js"\n' >"$TREE/karreg.toml"
  LIMIT=300 timed_push
  check "a build that leaves a program that listens is deployed (round $round)" succeeds "Successfully deployed"
  check "though that listened" said "remote: .*left behind: "
  check "its app answers" wait_until 30 answers "deaf-$round"
  check "and nothing is left of the build" wait_until 60 nothing_is_left

  new_app "bomb"
  new_tree "bomb-$round"
  site
  # What it starts goes on when the step has ended; the VM ends with the build.
  command 'bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 5; echo "the shell goes on"; exit 3'
  # Its shell may come to its end, or may not: it can start nothing while the bomb goes on.
  echo 'time-limit = "20s"' >>"$TREE/karreg.toml"
  LIMIT=600 timed_push
  check "a fork bomb ends with its build (round $round)" fails "build step .build. failed"
  check "its VM is gone" wait_until 60 nothing_is_left
  check "the platform is as alive as before" alive

  new_app "reaching"
  new_tree "reaching-$round"
  site
  ports="$(sed -n 's/^[A-Z_]*PORT=//p' "$KARREG_TEST_DATA/ports.env" | tr '\n' ' ')"
  # Nobody refuses what nobody may reach: it is given up.
  command "for port in $ports; do
  for host in 10.0.2.2 127.0.0.1; do
    (if timeout 5 bash -c \"exec 3<>/dev/tcp/\$host/\$port\" 2>/dev/null; then echo \" \$host:\$port\" >>/tmp/reached; fi) &
  done
done
wait
touch /tmp/reached
reached=\"\$(cat /tmp/reached)\"
exec 3<>/dev/tcp/10.0.2.2/3128
printf 'CONNECT localhost:443 HTTP/1.1\\\\r\\\\n\\\\r\\\\n' >&3
read -r line <&3
echo \"reached:\$reached.\"
echo \"the proxy said: \$line\"
echo built >>index.html"
  LIMIT=600 timed_push
  check "a build that tries the ports of the platform (round $round)" succeeds "Successfully deployed"
  check "reaches none of them" said "reached:\."
  check "nor this machine by the proxy" said "the proxy said: HTTP/1.1 403 Forbidden"
  check "and what it deployed answers, after all of the above" wait_until 30 answers "harmless"
  # The memory that they have is that of the next round.
  delete_apps
done
finish
