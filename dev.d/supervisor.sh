# supervisord, of Debian's package `supervisor`, with a configuration, a socket and a pid file of our own.

# The daemons in the order of their start; they wait for one another themselves, so the order only saves log lines.
DAEMONS=(api scheduler builder agent proxy)

supervisor_conf() { echo "$1/supervisor/supervisord.conf"; }

# supervisor DATA ARGUMENTS...: supervisorctl.
supervisor() {
  local data=$1
  shift
  timeout 150 /usr/bin/supervisorctl -c "$(supervisor_conf "$data")" "$@" </dev/null
}

# supervisor_pid DATA: the pid of the running supervisord, or nothing.
supervisor_pid() {
  local pid
  pid=$(cat "$1/supervisor/supervisord.pid" 2>/dev/null) || return 0
  # A pid file outlives a crash or a reboot: the process must be ours.
  if grep -qzxF "$(supervisor_conf "$1")" "/proc/$pid/cmdline" 2>/dev/null; then echo "$pid"; fi
}

_program() { # NAME PRIORITY USER COMMAND [LINE...]
  printf '\n[program:%s]\npriority = %s\nuser = %s\ncommand = %s\n' "$1" "$2" "$3" "$4"
  printf 'stdout_logfile = %s/log/%s.log\nredirect_stderr = true\n' "$data" "$1"
  printf 'stdout_logfile_maxbytes = 50MB\nstdout_logfile_backups = 3\n'
  # Started again for ever; the supervisor waits one second longer after each try that fails at once.
  printf 'autostart = true\nautorestart = true\nstartsecs = 1\nstartretries = 1000000\n'
  shift 4
  if [ $# -gt 0 ]; then printf '%s\n' "$@"; fi
}

# make_supervisor DATA BINARIES|none: the configuration. BINARIES is the folder with the daemons.
make_supervisor() {
  local data=$1 binaries=$2 name
  install -d -m 700 "$data/supervisor"
  {
    cat <<TEXT
; made by ./dev up
[unix_http_server]
file = $data/supervisor/socket
chmod = 0700

[supervisord]
logfile = $data/log/supervisord.log
logfile_maxbytes = 10MB
pidfile = $data/supervisor/supervisord.pid
childlogdir = $data/log
directory = /
identifier = karreg
user = root
minfds = 4096
environment = KARREG_SUPERVISED="$data"

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl = unix://$data/supervisor/socket
TEXT
    _program epmd 5 rabbitmq "/usr/bin/epmd -address 127.0.0.1 -port $(value_of "$data/ports.env" EPMD_PORT)" \
      'directory = /'
    _program postgres 10 postgres "$POSTGRES_BIN/postgres -D $data/postgres" \
      'environment = LANG="C.UTF-8",LC_ALL="C.UTF-8"' 'stopsignal = INT' 'stopwaitsecs = 60'
    _program rabbitmq 20 rabbitmq "$data/rabbitmq/start /usr/lib/rabbitmq/bin/rabbitmq-server" \
      'stopsignal = TERM' 'stopwaitsecs = 60'
    if [ "$binaries" != none ]; then
      for name in "${DAEMONS[@]}"; do
        # No stopasgroup: virtual machines outlive their agent, and each daemon ends its own children.
        _program "$name" 50 root "$binaries/karreg-$name --config $data/karreg.toml" \
          'stopsignal = TERM' 'stopwaitsecs = 40'
      done
    fi
  } >"$(supervisor_conf "$data")"
}

# start_supervisor DATA: starts supervisord and with it everything in its configuration. It must hold nothing of ours
# open: neither the terminal nor the lock files of a caller.
start_supervisor() {
  local data=$1
  rm -f "$data/supervisor/socket"
  (
    local descriptor
    for descriptor in /proc/self/fd/*; do
      descriptor=${descriptor##*/}
      if [ "$descriptor" -gt 2 ]; then eval "exec $descriptor>&-"; fi
    done 2>/dev/null
    umask 022
    exec setsid /usr/bin/supervisord -c "$(supervisor_conf "$data")"
  ) >"$data/log/supervisord-start.log" 2>&1 </dev/null ||
    { tail_of "$data/log/supervisord-start.log" && die "supervisord did not start"; }
  wait_until 20 supervisor "$data" pid || {
    tail_of "$data/log/supervisord.log"
    die "supervisord does not answer on $data/supervisor/socket"
  }
}

# state_of DATA PROGRAM: RUNNING, STARTING, BACKOFF, ... as the supervisor names it.
state_of() { supervisor "$1" status "$2" 2>/dev/null | awk '{print $2}'; }

# is_outdated DATA: does a daemon run whose program has been built anew since it started?
is_outdated() {
  local name pid
  for name in "${DAEMONS[@]}"; do
    pid=$(supervisor "$1" pid "$name" 2>/dev/null) || continue
    ! is_replaced "/proc/$pid/exe" || return 0
  done
  return 1
}

# is_replaced LINK: the file of a running program, as the kernel names it, is gone: a build puts a new file in its place.
is_replaced() { [[ $(readlink "$1" 2>/dev/null) == *' (deleted)' ]]; }
