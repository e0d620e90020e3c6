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

# need_root WHAT
need_root() {
  [ "$(id -u)" -eq 0 ] || die "$1 needs root: run it as root or with sudo"
}

# tail_of FILE [LINES]: the end of a log, for a message about a failure.
tail_of() {
  [ -s "$1" ] || { echo "    (the log $1 is empty)" && return; }
  tail -n "${2:-15}" "$1" | sed 's/^/    | /'
}

# at_exit FUNCTION: it runs when ./dev ends, however it ends, the newest first. It must do nothing when nothing is to be done.
AT_EXIT=()
at_exit() {
  AT_EXIT=("$1" "${AT_EXIT[@]}")
  trap '_run_at_exit' EXIT
}
_run_at_exit() {
  local code=$? one
  for one in "${AT_EXIT[@]}"; do "$one" || true; done
  return "$code"
}

# run_logged NAME WHAT COMMAND...: runs a noisy tool with its output in build/logs/NAME.log, a line of progress now and
# then, and on failure the end of that log. An interrupt ends the tool with all that it has started.
run_logged() {
  local name=$1 what=$2 log=$LOGS/$1.log began=$SECONDS code=0 progress last= saved
  shift 2
  mkdir -p "$LOGS"
  say "$what (log: ${log#"$ROOT"/})"
  saved=$(trap -p INT TERM)
  # A session of its own, in which all its children are found. A ./dev in it gets half of our patience, so that it has ended
  # its own tools before we lose ours.
  KARREG_DEV_PATIENCE=$((PATIENCE / 2)) setsid "$@" >"$log" 2>&1 </dev/null &
  local pid=$! next=$((SECONDS + 15))
  trap 'end_session "$pid"; exit 130' INT
  trap 'end_session "$pid"; exit 143' TERM
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if [ "$SECONDS" -ge "$next" ]; then
      progress=$(tail -n 1 "$log" | tr -d '\r' | cut -c1-90)
      [ "$progress" = "$last" ] || say "  … $progress"
      last=$progress next=$((SECONDS + 15))
    fi
  done
  wait "$pid" || code=$?
  trap - INT TERM
  eval "$saved"
  if [ "$code" -ne 0 ]; then
    say "FAILED: $what (exit $code, after $((SECONDS - began)) s)"
    tail_of "$log" 25
    echo "    the whole log: $log"
    return "$code"
  fi
  say "done: $what ($((SECONDS - began)) s)"
}

PATIENCE=${KARREG_DEV_PATIENCE:-16} # seconds that an interrupted tool gets to end by itself

# end_session PID: SIGTERM to a tool that was started in a session of its own and to all that it has started there; SIGKILL to
# what is left when our patience is over.
end_session() {
  local signal
  trap '' INT TERM
  for signal in TERM KILL; do
    kill -s "$signal" $(processes_of_session "$1") 2>/dev/null || true
    ! wait_until "$PATIENCE" session_is_gone "$1" || return 0
  done
  warn "could not end these processes:" $(processes_of_session "$1")
}

session_is_gone() { [ -z "$(processes_of_session "$1")" ]; }

# processes_of_session PID: the pids in it, its leader's too when it has not made it yet, without those that have ended.
processes_of_session() {
  local file line state session
  for file in /proc/[0-9]*/stat; do
    # The second field is the program's name, in brackets; it may contain anything.
    { read -r line <"$file"; } 2>/dev/null || continue
    read -r state _ _ session _ <<<"${line##*) }"
    if [ "$state" != Z ] && { [ "$session" = "$1" ] || [ "${line%% *}" = "$1" ]; }; then echo "${line%% *}"; fi
  done
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
