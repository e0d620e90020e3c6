# ./dev demo: from nothing to an app in production, and what happens to it then.
source dev.d/images.sh
source dev.d/node.sh
source dev.d/supervisor.sh

command_demo() {
  local data=$DEFAULT_DATA json=
  while [ $# -gt 0 ]; do
    case $1 in
      --data) data=${2:?--data needs a folder} && shift ;;
      --json) json=${2:?--json needs a file} && shift ;;
      *) wrong_use "demo: unknown argument $1" ;;
    esac
    shift
  done
  data=$(realpath -m "$data")
  [ -z "$json" ] || json=$(realpath -m "$json")
  need_root "./dev demo"
  ensure_packages build images run
  build_programs release programs
  make_images release
  build_console
  if [ -n "$(supervisor_pid "$data")" ] && is_outdated "$data"; then
    say "$data is up with older programs"
    "$ROOT/dev" down --data "$data" || [ $? -eq 4 ] # down, whatever had to be ended
  fi
  "$ROOT/dev" up --data "$data" --preset release
  exec "$PYTHON" dev.d/demo.py --data "$data" --preset release ${json:+--json "$json"}
}
