# ./dev doctor: looks at this machine and says what to do about each problem. Changes nothing.
source dev.d/packages.sh
source dev.d/services.sh
source dev.d/supervisor.sh

PROBLEMS=0

good() { printf '  ok       %s\n' "$*"; }
note() { printf '  note     %s\n' "$*"; }
# bad WHAT CURE
bad() {
  printf '  PROBLEM  %s\n           %s\n' "$1" "$2"
  PROBLEMS=$((PROBLEMS + 1))
}

command_doctor() {
  [ $# -eq 0 ] || wrong_use "doctor: unknown argument $1"
  _check_machine
  _check_room
  _check_virtualisation
  _check_packages
  _check_made
  _check_running
  if [ "$PROBLEMS" -gt 0 ]; then
    echo "$PROBLEMS problem(s)"
    return 1
  fi
  echo "no problems"
}

_check_machine() {
  echo "machine"
  local system
  system=$(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release)
  case $system in
    'Debian GNU/Linux 12'*) good "$system" ;;
    *) bad "$system is not Debian 12" "the packages in dev.d/packages/ are named for Debian 12: use it, or expect to adapt them" ;;
  esac
  case $(uname -m) in
    x86_64) good "x86_64, $(nproc) processors" ;;
    *) bad "$(uname -m) is not supported" "kernel and images are built for x86_64" ;;
  esac
  if [ "$(id -u)" -eq 0 ]; then good "root"; else
    bad "not root" "QEMU, PostgreSQL and RabbitMQ get users of their own, which only root can give: use sudo"
  fi
}

_check_room() {
  echo "room"
  local memory folder free
  memory=$(awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
  if [ "$memory" -ge 3500 ]; then good "memory: $memory MiB"; else
    bad "memory: $memory MiB" "4 GiB are the least: compiling, PostgreSQL, RabbitMQ and a build VM of 1 GiB live side by side"
  fi
  for folder in "$ROOT" "$KARREG_CACHE_DIR" "$DEFAULT_DATA"; do
    free=$(_free_mb "$folder")
    if [ "$free" -ge 8192 ]; then good "disk: $((free / 1024)) GiB free for $folder"; else
      bad "disk: $free MiB free for $folder" "8 GiB are the least (KARREG_CACHE_DIR and KARREG_DATA choose other places)"
    fi
  done
}

# _free_mb FOLDER: of its file system; the folder need not exist yet.
_free_mb() {
  local folder=$1
  until [ -d "$folder" ]; do folder=$(dirname "$folder"); done
  df --output=avail -m "$folder" | tail -n 1 | tr -d ' '
}

_check_virtualisation() {
  echo "virtual machines"
  local verdict=$DEFAULT_DATA/agent/accelerator.json
  if [ ! -e /dev/kvm ]; then
    note "/dev/kvm is missing: virtual machines are emulated, which is correct but slow. In a cloud, nested virtualisation must be switched on for the machine; on hardware, in its firmware"
  elif [ ! -r /dev/kvm ] || [ ! -w /dev/kvm ]; then
    bad "/dev/kvm is there but may not be opened" "as root this is a container's limit: give it the device /dev/kvm"
  else
    good "/dev/kvm opens (whether it is faster than emulation, the agent measures at its first start)"
  fi
  if [ -s "$verdict" ]; then note "what the agent measured: $(tr -d '\n' <"$verdict")"; fi
  if [ -e /dev/net/tun ]; then good "/dev/net/tun"; else
    note "/dev/net/tun is missing: it is not used yet (instances get their network from passt)"
  fi
  if unshare --net true 2>/dev/null || [ "$(id -u)" -ne 0 ]; then good "network namespaces"; else
    bad "the kernel makes no network namespaces" "passt puts itself into one: run outside of this container, or give it CAP_SYS_ADMIN"
  fi
}

_check_packages() {
  echo "packages"
  local list missing
  for list in run build images tests; do
    missing=$(missing_packages "$list")
    if [ -z "$missing" ]; then good "$list"; else
      note "$list: $(wc -w <<<"$missing") missing ($(echo $missing)); ./dev packages installs them"
    fi
  done
}

_check_made() {
  echo "made so far"
  local preset found=
  for preset in release debug asan; do
    if [ -x "$(bin_dir "$preset")/karreg-api" ]; then good "programs: build/$preset/bin" && found=yes; fi
  done
  [ -n "$found" ] || note "no programs yet: ./dev build"
  if [ -e "$KARREG_CACHE_DIR/images/catalogue.json" ]; then good "images: $KARREG_CACHE_DIR/images"; else
    note "no images yet: ./dev images"
  fi
  if [ -e webui/dist/index.html ]; then good "web console: webui/dist"; else note "no web console yet: ./dev build"; fi
}

_check_running() {
  echo "running ($DEFAULT_DATA)"
  local program state
  if [ -z "$(supervisor_pid "$DEFAULT_DATA")" ]; then
    note "not up: ./dev up"
    _check_strangers
    return 0
  fi
  while read -r program state _; do
    case $state in
      RUNNING) good "$program" ;;
      *) bad "$program: $state" "its log: $DEFAULT_DATA/log/$program.log" ;;
    esac
  done < <(supervisor "$DEFAULT_DATA" status || true)
}

# Who already has the ports that one can remember: harmless, since others are found, but good to know.
_check_strangers() {
  local port
  for port in 8100 8080 8101; do
    if (exec 9<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      note "port $port is taken by another program: ./dev up will choose another and print it"
    fi
  done
}
