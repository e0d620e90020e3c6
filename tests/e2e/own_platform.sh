# A platform of a test's own, for what the other tests' cannot stand. Sourced instead of lib.sh by tests/e2e/*_test.sh; then
# `own_platform` starts it. $PLACE is a folder that goes away, $data the platform's in it, $root the project's.
: "${KARREG_TEST_DATA:?run this through ./dev test e2e}"
PLACE=$(mktemp -d "/var/tmp/karreg-$(basename "$0" _test.sh).XXXXXX")
chmod 755 "$PLACE"
data=$PLACE/data
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# Measured for the platform of all tests already; the verdict is the machine's.
KARREG_AGENT_ACCELERATOR=$(psql "$(sed -n 's/^url = "\(.*\)"/\1/p' "$KARREG_TEST_DATA/karreg.toml")" -Atc "SELECT accelerator FROM hosts LIMIT 1" 2>/dev/null)
: "${KARREG_AGENT_ACCELERATOR:=auto}"
KARREG_PRESET=$(basename "$(dirname "$KARREG_TEST_BIN")")
export KARREG_AGENT_ACCELERATOR KARREG_PRESET

# A test that began more than the platform ends it in a function of this name.
stop_more() { :; }
stop_all() {
  stop_more
  [ ! -e "$data" ] || timeout 300 "$root/dev" down --data "$data" --wipe >/dev/null 2>&1
  rm -rf --one-file-system "$PLACE"
}
trap stop_all EXIT
# bail SENTENCE [FILE]: nothing can be tested; the end of the file says why.
bail() {
  [ ! -s "${2:-}" ] || tail -n 30 "$2" | sed 's/^/# /'
  echo "Bail out! $1"
  exit 1
}

learn_ports() {
  KARREG_TEST_API=http://127.0.0.1:$(sed -n 's/^API_PORT=//p' "$data/ports.env")
  KARREG_TEST_PROXY_PORT=$(sed -n 's/^PROXY_PORT=//p' "$data/ports.env")
}
# own_platform [ARGUMENT]...: ./dev up with them. The helpers of lib.sh know this platform then; not by an exported name, so that no
# process but the platform's own names its folder.
own_platform() {
  timeout 400 "$root/dev" up --data "$data" "$@" >"$PLACE/up" 2>&1 </dev/null ||
    bail "the platform of $(basename "$0") did not start" "$PLACE/up"
  export -n KARREG_TEST_DATA
  KARREG_TEST_DATA=$data
  learn_ports
  source "$root/tests/e2e/lib.sh"
  trap 'clean_up; stop_all' EXIT
}
