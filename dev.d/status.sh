# ./dev status: what runs, and where.
source dev.d/services.sh
source dev.d/supervisor.sh

command_status() {
  local data=$DEFAULT_DATA
  while [ $# -gt 0 ]; do
    case $1 in
      --data) data=${2:?--data needs a folder} && shift ;;
      *) wrong_use "status: unknown argument $1" ;;
    esac
    shift
  done
  data=$(realpath -m "$data")
  if [ -z "$(supervisor_pid "$data" 2>/dev/null)" ]; then
    echo "$data: not up"
    return 3
  fi
  echo "$data: up"
  sed 's/^/    /' "$data/ports.env"
  # supervisorctl answers 3 when a program is not running, which is an answer and no failure of ours.
  supervisor "$data" status || true
  if postgres_is_ready "$data" >/dev/null 2>&1; then
    postgres_query "$data" "SELECT '    VMs: ' || count(*) FILTER (WHERE kind = 'run') || ' running apps, '
      || count(*) FILTER (WHERE kind = 'build') || ' builds' FROM instances WHERE ended_at IS NULL" 2>/dev/null || true
  fi
}
