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
CASES

  new_app "bomb"
  new_tree "bomb-$round"
  site
  # What it starts goes on when the step has ended; the VM ends with the build.
  command 'bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 5; echo "the shell goes on"; exit 3'
  LIMIT=600 timed_push
  check "a fork bomb ends with its build (round $round)" fails "build step .build. failed"
  check "its VM is gone" wait_until 60 no_build_is_left
  check "the platform is as alive as before" alive

  new_app "reaching"
  new_tree "reaching-$round"
  site
  ports="$(sed -n 's/^[A-Z_]*PORT=//p' "$KARREG_TEST_DATA/ports.env" | tr '\n' ' ')"
  # Nobody refuses what nobody may reach: it is given up.
  command "reached=
for port in $ports; do
  for host in 10.0.2.2 127.0.0.1; do
    if timeout 3 bash -c \"exec 3<>/dev/tcp/\$host/\$port\" 2>/dev/null; then reached=\"\$reached \$host:\$port\"; fi
  done
done
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
done
finish
