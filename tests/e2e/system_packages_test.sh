#!/usr/bin/env bash
# Packages of Debian that an app asks for in an Aptfile: they are in its image, which is made once, and a name that Debian
# does not have is told to who pushes it.
source "$(dirname "$0")/lib.sh"

new_app packages
new_tree packages
printf '# the web server of this app\nbusybox\n' >"$TREE/Aptfile"
# shellcheck disable=SC2016 # the app's own
echo 'mkdir -p www && busybox | head -1 >www/index.html && exec busybox httpd -f -p "$PORT" -h www' >"$TREE/start.sh"
LIMIT=900 push
check "an app runs with the packages of its Aptfile" succeeds "Packages of Debian: busybox \(Aptfile\)\."
check "it answers by one of them" answers "^BusyBox v"
IMAGE=$(database "SELECT runtime FROM builds WHERE app_id = '$APP'")
is_a_set() { [[ $IMAGE == shell+* ]]; }
check "its image is one of its own" is_a_set

new_app same
rm "$TREE/Aptfile"
set_env CC_SYSTEM_PACKAGES busybox
push
check "another app with the same packages, named in its environment, gets its image at once" \
  succeeds "Packages of Debian: busybox \(CC_SYSTEM_PACKAGES\)\."
not_made() { ! said "its image is being made"; }
check "none is made for it" not_made
check "it answers, too" answers "^BusyBox v"

new_app unknown
echo 'no-such-package-anywhere' >"$TREE/Aptfile"
LIMIT=600 push
check "a package that Debian does not have fails the push with its name" fails "Debian trixie has no package no-such-package-anywhere"
finish
