# ./dev up: the platform on this machine, all of it in one data folder.
source dev.d/packages.sh
source dev.d/services.sh
source dev.d/supervisor.sh
source dev.d/settings.sh

command_up() {
  local data=$DEFAULT_DATA preset=${KARREG_PRESET:-release} services_only= durability=on starts=
  while [ $# -gt 0 ]; do
    case $1 in
      --data) data=${2:?--data needs a folder} && shift ;;
      --preset) preset=${2:?--preset needs a name} && shift ;;
      --services-only) services_only=yes ;;
      --throw-away) durability=off ;; # tests: nothing is flushed to the disk
      *) wrong_use "up: unknown argument $1" ;;
    esac
    shift
  done
  data=$(realpath -m "$data")
  need_root "./dev up"
  local binaries=none
  if [ -z "$services_only" ]; then
    binaries=$(bin_dir "$preset")
    check_programs "$binaries" "$preset"
    check_images
  fi
  ensure_packages run

  make_data_folder "$data"
  # Two `up` at once on one folder would tear each other's files.
  exec 8>"$data/run/up.lock"
  flock -n 8 || die "another ./dev up works on $data"
  if [ -n "$(supervisor_pid "$data")" ]; then
    [ "$binaries" = none ] || grep -qF "$binaries/" "$(supervisor_conf "$data")" ||
      die "$data is up with other programs: ./dev down --data $data first"
    [ "$binaries" = none ] || ! is_outdated "$data" ||
      die "$data is up with older programs: ./dev down --data $data first"
    say "already up: $data"
  else
    choose_ports "$data"
    make_postgres "$data"
    set_postgres_durability "$data" "$durability"
    make_rabbitmq "$data"
    make_proxy_user
    make_settings "$data"
    make_supervisor "$data" "$binaries"
    starts=yes
    say "starting under supervisord in $data"
    start_supervisor "$data"
  fi
  wait_for "$data" 60 postgres "PostgreSQL" postgres_is_ready "$data"
  # Read before the broker answers, so before any agent of this run can have reported.
  local since earlier=
  since=$(postgres_query "$data" 'SELECT now()')
  [ -z "$starts" ] || earlier=$(postgres_query "$data" "SELECT string_agg(agent_boot, ',') FROM hosts" 2>/dev/null) || true
  wait_for "$data" 120 rabbitmq "RabbitMQ" rabbitmq_is_ready "$data"
  if [ "$binaries" != none ]; then wait_for_daemons "$data" "$since" "$earlier"; fi
  exec 8>&-
  print_addresses "$data" "$binaries"
}

check_programs() {
  local name missing=
  for name in "${DAEMONS[@]}"; do
    [ -x "$1/karreg-$name" ] || missing+=" karreg-$name"
  done
  [ -x "$1/karreg" ] || missing+=" karreg"
  [ -z "$missing" ] || die "not built yet in $1:$missing. Do this first: ./dev build $2"
}

check_images() {
  [ -e "$KARREG_CACHE_DIR/images/catalogue.json" ] ||
    die "there are no VM images in $KARREG_CACHE_DIR/images. Make them first: ./dev images"
}

# wait_for DATA SECONDS PROGRAM WHAT COMMAND...: bounded wait for a part, with the end of its log when it fails.
wait_for() {
  local data=$1 seconds=$2 program=$3 what=$4 began=$SECONDS
  shift 4
  wait_until "$seconds" "$@" || {
    say "FAILED: $what is not ready after $((SECONDS - began)) s; the supervisor says: $(state_of "$data" "$program")"
    tail_of "$data/log/$program.log" 20
    die "$what did not start; its log is $data/log/$program.log. Stop the rest with ./dev down --data $data"
  }
  say "ready: $what"
}

# wait_for_daemons DATA SINCE EARLIER. A daemon without a port is ready when the database says so: an agent and a proxy when the
# scheduler has heard of them after the database's time SINCE. The broker may still deliver a report of the run before, so the
# agent must also be none of EARLIER (their agent_boot, with commas).
wait_for_daemons() {
  local data=$1 since=$2 earlier=$3 ports=$1/ports.env
  wait_for "$data" 60 api "karreg-api" answers_200 "http://127.0.0.1:$(value_of "$ports" API_PORT)/healthz"
  wait_for "$data" 60 proxy "karreg-proxy" answers_200 "http://127.0.0.1:$(value_of "$ports" PROXY_ADMIN_PORT)/healthz"
  wait_for "$data" 30 scheduler "karreg-scheduler" is_running "$data" scheduler
  wait_for "$data" 30 builder "karreg-builder" is_running "$data" builder
  # Its first start measures the accelerators by booting a probe in each.
  wait_for "$data" 240 agent "karreg-agent" row_exists "$data" \
    "SELECT 1 FROM hosts WHERE last_seen > '$since' AND agent_boot <> ALL (string_to_array('$earlier', ','))"
  wait_for "$data" 60 proxy "the proxy's routes" row_exists "$data" "SELECT 1 FROM proxies WHERE last_seen > '$since'"
}

answers_200() { [ "$(curl -s -m 5 -o /dev/null -w '%{http_code}' "$1")" = 200 ]; }
is_running() { [ "$(state_of "$1" "$2")" = RUNNING ]; }
row_exists() { [ -n "$(postgres_query "$1" "$2")" ]; }

print_addresses() {
  local data=$1 ports=$1/ports.env
  say "up in $data"
  if [ "$2" != none ]; then
    if [ -e webui/dist/index.html ]; then
      echo "    API and console   http://127.0.0.1:$(value_of "$ports" API_PORT)/"
    else
      echo "    API               http://127.0.0.1:$(value_of "$ports" API_PORT)/"
      echo "    console           not built: run ./dev build, then ./dev down and ./dev up"
    fi
    echo "    applications      http://<app>.localhost:$(value_of "$ports" PROXY_PORT)/"
    echo "    first user        $2/karreg-api admin create-user --email you@example.org --name You --password-stdin --config $data/karreg.toml"
    echo "                      (reads a password for the console, one line; prints the tokens)"
  fi
  echo "    PostgreSQL        psql \"$(postgres_url "$data")\""
  echo "    RabbitMQ          127.0.0.1:$(value_of "$ports" BROKER_PORT), user karreg (password: $data/rabbitmq/password)"
  echo "    logs              $data/log/"
  echo "    stop              ./dev down --data $data"
}
