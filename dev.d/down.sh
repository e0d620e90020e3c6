# ./dev down: stops everything of one data folder, virtual machines included, and makes sure of it. Exit code 4: all is down, but
# some of it had to be ended by us, which is a fault of the program that should have done it.
source dev.d/services.sh
source dev.d/supervisor.sh

command_down() {
  local data=$DEFAULT_DATA wipe=
  while [ $# -gt 0 ]; do
    case $1 in
      --data) data=${2:?--data needs a folder} && shift ;;
      --wipe) wipe=yes ;;
      *) wrong_use "down: unknown argument $1" ;;
    esac
    shift
  done
  data=$(realpath -m "$data")
  if [ ! -e "$data" ]; then
    say "nothing to stop: there is no $data"
    return 0
  fi
  [ -e "$data/karreg-data" ] || die "$data was not made by ./dev up"
  need_root "./dev down"
  if [ -n "$(supervisor_pid "$data")" ]; then
    stop_daemons "$data"
    purge_machines "$data"
    stop_supervisor "$data"
  else
    purge_machines "$data"
  fi
  end_leftovers "$data"
  rm -f "$data/supervisor/supervisord.pid" "$data/supervisor/socket"
  say "down: nothing of $data runs"
  if [ -n "$wipe" ]; then
    rm -rf --one-file-system "$data"
    say "removed $data"
  fi
  if [ ${#LEFTOVERS[@]} -gt 0 ]; then
    printf './dev: had to end %d leftovers:\n' ${#LEFTOVERS[@]} >&2
    printf '    %s\n' "${LEFTOVERS[@]}" >&2
    exit 4
  fi
}

stop_daemons() {
  local data=$1 name running=()
  for name in "${DAEMONS[@]}"; do
    if grep -q "^\[program:$name\]" "$(supervisor_conf "$data")"; then running+=("$name"); fi
  done
  [ ${#running[@]} -gt 0 ] || return 0
  say "stopping the daemons"
  supervisor "$data" stop "${running[@]}" >>"$data/log/down.log" 2>&1 || warn "supervisorctl stop failed: $data/log/down.log"
}

# Virtual machines outlive the agent on purpose; only `down` ends them. Needs a stopped agent.
purge_machines() {
  local data=$1 agent
  [ -d "$data/agent" ] && [ -s "$data/karreg.toml" ] || return 0
  agent=$(sed -n 's/^command = \(.*karreg-agent\) --config.*/\1/p' "$(supervisor_conf "$data")" 2>/dev/null || true)
  if [ -n "$agent" ] && [ -x "$agent" ]; then
    say "ending the virtual machines"
    timeout 120 "$agent" --config "$data/karreg.toml" purge >>"$data/log/down.log" 2>&1 </dev/null ||
      { warn "karreg-agent purge failed" && tail_of "$data/log/down.log" 5; }
  fi
}

stop_supervisor() {
  local data=$1 pid
  pid=$(supervisor_pid "$data")
  say "stopping PostgreSQL, RabbitMQ and the supervisor"
  supervisor "$data" shutdown >>"$data/log/down.log" 2>&1 || kill -TERM "$pid" 2>/dev/null || true
  wait_until 150 process_is_gone "$pid" || warn "supervisord ($pid) did not end in time"
}

process_is_gone() { ! kill -0 "$1" 2>/dev/null; }

# processes_of DATA: pids of what was started for this folder: whose environment says so, and those with an environment of
# their own (of libvirt) or from outside (the supervisor) that name the folder in their command line.
processes_of() {
  local data=$1 folder name
  {
    grep -lzxF "KARREG_SUPERVISED=$data" /proc/[0-9]*/environ || true
    for folder in /proc/[0-9]*; do
      read -r name <"$folder/comm" || continue
      case $name in
        qemu-system* | passt* | supervisord) grep -lzF "$data/" "$folder/cmdline" || true ;;
      esac
    done
  } 2>/dev/null | cut -d/ -f3 | grep -vxF -e "$$" -e "$BASHPID" | sort -un || true
}

declare -A LEFTOVERS=() # pid -> command line of what had to be ended

end_leftovers() {
  local data=$1 signal pid left
  # The children of what has ended may be on their way.
  ! wait_until 5 none_left "$data" || return 0
  for signal in TERM KILL; do
    left=$(processes_of "$data")
    [ -n "$left" ] || return 0
    for pid in $left; do
      LEFTOVERS[$pid]="$pid $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | cut -c1-100)"
      warn "still there, gets SIG$signal: ${LEFTOVERS[$pid]}"
      kill "-$signal" "$pid" 2>/dev/null || true
    done
    wait_until 10 none_left "$data" || true
  done
  left=$(processes_of "$data")
  [ -z "$left" ] || die "could not end these processes:" $left
}

none_left() { [ -z "$(processes_of "$1")" ]; }
