# What all parts of ./dev share: folders, progress, bounded waits, running noisy tools.
# Sourced by ./dev, which has set ROOT and changed into it.

: "${KARREG_CACHE_DIR:=/var/cache/karreg}"
: "${KARREG_JOBS:=$(nproc)}"
export KARREG_CACHE_DIR
DEFAULT_DATA=${KARREG_DATA:-/var/lib/karreg-dev}
LOGS=$ROOT/build/logs
PYTHON=/usr/bin/python3 # Debian's own: supervisor brings it, and another in PATH may lack what we use
SECONDS=0

# A Debian tool may stop to ask something; here nobody answers.
export DEBIAN_FRONTEND=noninteractive

say() { printf '[%4d s] %s\n' "$SECONDS" "$*"; }
warn() { printf '[%4d s] warning: %s\n' "$SECONDS" "$*" >&2; }
die() {
  printf './dev: %s\n' "$*" >&2
  exit 1
}
wrong_use() {
  printf './dev: %s (see ./dev help)\n' "$*" >&2
  exit 2
}

# need_root WHAT: goes on as root, through sudo when there is one.
need_root() {
  [ "$(id -u)" -eq 0 ] || die "$1 needs root: run it as root or with sudo"
}

# tail_of FILE [LINES]: the end of a log, for a message about a failure.
tail_of() {
  [ -s "$1" ] || { echo "    (the log $1 is empty)" && return; }
  tail -n "${2:-15}" "$1" | sed 's/^/    | /'
}

# run_logged NAME WHAT COMMAND...: runs a noisy tool with its output in build/logs/NAME.log, a line of progress now and
# then, and on failure the end of that log.
run_logged() {
  local name=$1 what=$2 log=$LOGS/$1.log began=$SECONDS code=0 progress last=
  shift 2
  mkdir -p "$LOGS"
  say "$what (log: ${log#"$ROOT"/})"
  "$@" >"$log" 2>&1 </dev/null &
  local pid=$! next=$((SECONDS + 15))
  # An interrupt must not leave the tool running behind our back.
  trap 'kill "$pid" 2>/dev/null || true; exit 130' INT TERM
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if [ "$SECONDS" -ge "$next" ]; then
      progress=$(tail -n 1 "$log" | tr -d '\r' | cut -c1-90)
      [ "$progress" = "$last" ] || say "  … $progress"
      last=$progress next=$((SECONDS + 15))
    fi
  done
  trap - INT TERM
  wait "$pid" || code=$?
  if [ "$code" -ne 0 ]; then
    say "FAILED: $what (exit $code, after $((SECONDS - began)) s)"
    tail_of "$log" 25
    echo "    the whole log: $log"
    return "$code"
  fi
  say "done: $what ($((SECONDS - began)) s)"
}

# wait_until SECONDS COMMAND...: polls until the command succeeds; non-zero when the time is over.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.1
  done
}

# value_of FILE KEY: one value of a KEY=VALUE file such as <data>/ports.env.
value_of() { sed -n "s/^$2=//p" "$1"; }

# random_hex BYTES
random_hex() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

bin_dir() { echo "$ROOT/build/$1/bin"; }
