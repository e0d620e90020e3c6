# ./dev down: stops everything of one data folder, virtual machines included, and makes sure of it.
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

# processes_of DATA: pids of what was started for this folder: whose environment says so, and QEMU and passt with
# the folder in their command line (libvirt gives them an environment of their own).
processes_of() {
  local data=$1 folder pid name
  for folder in /proc/[0-9]*; do
    pid=${folder#/proc/}
    [ "$pid" != $$ ] && [ "$pid" != "$BASHPID" ] || continue
    if grep -qzxF "KARREG_SUPERVISED=$data" "$folder/environ" 2>/dev/null; then
      echo "$pid"
      continue
    fi
    name=$(cat "$folder/comm" 2>/dev/null) || continue
    case $name in
      qemu-system* | passt*)
        if grep -qzF "$data/" "$folder/cmdline" 2>/dev/null; then echo "$pid"; fi
        ;;
    esac
  done
}

end_leftovers() {
  local data=$1 signal pid left
  for signal in TERM KILL; do
    left=$(processes_of "$data")
    [ -n "$left" ] || return 0
    for pid in $left; do
      warn "still there, gets SIG$signal: $pid $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | cut -c1-100)"
      kill "-$signal" "$pid" 2>/dev/null || true
    done
    wait_until 10 none_left "$data" || true
  done
  left=$(processes_of "$data")
  [ -z "$left" ] || die "could not end these processes: $left"
}

none_left() { [ -z "$(processes_of "$1")" ]; }
