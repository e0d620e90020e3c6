# What the tests of ./dev share: TAP lines and a folder of their own, which stands for the project's in what they source.
set -euo pipefail
SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
WORK=$(mktemp -d /tmp/karreg-dev-test.XXXXXX)
ROOT=$WORK
cd "$SOURCE"
source dev.d/lib.sh

NUMBER=0 FAILED=0

# check SENTENCE COMMAND...: one TAP line.
check() {
  local sentence=$1
  shift
  NUMBER=$((NUMBER + 1))
  if "$@"; then echo "ok $NUMBER - $sentence"; else
    FAILED=$((FAILED + 1))
    echo "not ok $NUMBER - $sentence"
  fi
}

# is WANTED SEEN: equal, or both are shown.
is() {
  [ "$1" = "$2" ] || {
    printf '# wanted: %s\n# seen:   %s\n' "${1//$'\n'/ }" "${2//$'\n'/ }"
    return 1
  }
}

finish() {
  echo "1..$NUMBER"
  [ "$FAILED" -eq 0 ]
}
