#!/usr/bin/env bash
# Back-up and restore, by the very lines of docs/operating.md: an app, its variables and its repository come back after the
# data folder was lost. On a platform of its own, which is also stopped while its app is live: nothing of it may be left.
source "$(dirname "$0")/own_platform.sh"
backup=$PLACE/backup
install -d -m 700 "$backup"
own_platform

# documented WORD: does the lines of the page below the paragraph that begins with it.
documented() {
  awk -v word="**$1**" 'index($0, word) == 1 {here = 1} here && /^```/ {if (inside) exit; inside = 1; next} inside' \
    "$ROOT/docs/operating.md" >"$WORK/lines"
  LIMIT=600 run env -C "$ROOT" bash -euo pipefail -c 'data=$1 backup=$2; source "$3"' documented "$data" "$backup" "$WORK/lines"
}
# No process names the data folder, in its environment or its command line: neither a part of the platform nor a virtual machine.
nothing_names_the_folder() {
  echo "$data" >"$WORK/folder"
  grep -lFf "$WORK/folder" /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3 | sort -u >"$WORK/pids"
  xargs -r -a "$WORK/pids" ps -o pid,args -p >"$OUT" 2>&1
  [ ! -s "$WORK/pids" ]
}
env_is_readable() { api GET "/v2/self/applications/$APP/env" >"$OUT" && said "$SECRET"; }
builds() { database "SELECT count(*) FROM builds"; }
as_before() { [ "$(builds)" = "$BUILDS" ]; }

SECRET=kept-$RANDOM$RANDOM
new_app restore
new_tree restore
greeting() { node_app "require('http').createServer((q, s) => s.end('$1 ' + process.env.GREETING + '\\n')).listen(process.env.PORT, '0.0.0.0');"; }
set_env GREETING "$SECRET"
greeting first
push
check "an app with a variable is deployed" succeeds "Successfully deployed"
check "it answers with its variable" answers "^first $SECRET\$"
BUILDS=$(builds)

documented Back-up
check "the documented back-up succeeds" succeeds
check "and holds database, folders and key" test -s "$backup/database" -a -s "$backup/folders.tar" -a -s "$backup/secret.key"

LIMIT=300 run "$root/dev" down --data "$data" --wipe
check "./dev down ends with 0 while an app is live: it need not end anything by force" succeeds
check "no process of the platform is left" nothing_names_the_folder
check "the data folder is lost" test ! -e "$data"

documented Restore
check "the documented restore succeeds" succeeds
learn_ports
check "the page of the app answers, with its variable" wait_until 180 answers "^first $SECRET\$"
check "from its artifact, without a build" as_before
check "the variable is readable by its owner" env_is_readable
greeting second
push
check "the repository takes the next version" succeeds "Successfully deployed"
check "which answers" answers "^second $SECRET\$"

LIMIT=300 run "$root/dev" down --data "$data"
check "./dev down of the restored platform ends with 0" succeeds
check "no process of it is left either" nothing_names_the_folder
APPS=() # gone with the platform
finish
